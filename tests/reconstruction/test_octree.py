"""The descent is held to the plain, dense evaluation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation
from support.analytic_fields import ASYMMETRIC, AnalyticField, all_of, ball, half_space, heart, tube

from vecsetx.anatomy import sign
from vecsetx.errors import InputError
from vecsetx.reconstruction import octree
from vecsetx.reconstruction.distance_field import exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_dense, evaluate_exclusive, extent_mm


def cube(half_width_mm: float, voxels: int) -> Grid:
    return Grid.fitted(np.full(3, -half_width_mm), np.full(3, half_width_mm), voxels)


def crossing_voxels(labels: np.ndarray) -> np.ndarray:
    """Voxels with a differently labelled neighbour, by another way than the octree's own."""
    cross = ndimage.generate_binary_structure(3, 1)
    highest = ndimage.maximum_filter(labels, footprint=cross, mode="nearest")
    lowest = ndimage.minimum_filter(labels, footprint=cross, mode="nearest")
    return highest != lowest


def assert_like_dense(field: AnalyticField, grid: Grid) -> None:
    descent = evaluate_exclusive(field, grid)
    dense = evaluate_dense(field, grid)
    labels = sign.label_of(dense)
    np.testing.assert_array_equal(descent.labels, labels)
    assert len(np.unique(labels)) > 1
    near, exclusive = crossing_voxels(labels), exclusive_distances(dense)
    for index in range(len(field.structures)):
        distances = descent.distances_mm(index, np.zeros(3, int), np.array(grid.shape))
        np.testing.assert_allclose(distances[near], exclusive[near][:, index], atol=1e-5)
        inside = sign.inside(exclusive[..., index])
        np.testing.assert_array_equal(sign.inside(distances), inside)


def test_a_heart_needs_ten_times_fewer_queries_at_128() -> None:
    field, grid = heart(), cube(90, 128)
    descent = evaluate_exclusive(field, grid)
    assert descent.queries == field.asked
    assert descent.queries * 10 < grid.voxels
    np.testing.assert_array_equal(descent.labels, sign.label_of(evaluate_dense(field, grid)))


def test_descent_equals_dense_for_a_heart() -> None:
    assert_like_dense(heart(), cube(90, 60))


@pytest.mark.parametrize("radius_voxels", [0.5, 0.7])
def test_a_thin_tube_is_found_whole(radius_voxels: float) -> None:
    grid = cube(40, 100)
    spacing_mm = float(grid.spacing_mm[0])
    thin = tube((-31, -22, -35), (33, 28, 30), radius_voxels * spacing_mm)
    assert_like_dense(AnalyticField({"Coronary": thin}), grid)


def test_a_thin_tube_on_a_sheared_grid() -> None:
    """There the diagonals of a block differ, and the longest counts."""
    affine = np.array([[1, 0.9, 0, -80], [0, 1, 0, -40], [0, 0, 1, -40], [0, 0, 0, 1.0]])
    thin = tube((-31, -22, -35), (33, 28, 30), 0.5)
    assert_like_dense(AnalyticField({"Coronary": thin}), Grid((80, 80, 80), affine))


def test_a_tube_one_voxel_wide_stays_one_piece() -> None:
    grid = cube(40, 100)
    thin = tube((-31, -22, -35), (33, 28, 30), 0.87 * float(grid.spacing_mm[0]))
    labels = evaluate_exclusive(AnalyticField({"Coronary": thin}), grid).labels
    assert ndimage.label(labels, np.ones((3, 3, 3)))[1] == 1
    length = np.linalg.norm(
        grid.to_mm(np.argwhere(labels)[0]) - grid.to_mm(np.argwhere(labels)[-1])
    )
    assert length == pytest.approx(np.linalg.norm([64, 50, 65]), abs=3)


@pytest.mark.parametrize("shift_mm", [1.5, 0.0, -0.2, -1.5], ids=lambda s: f"{s:+}mm")
def test_walls_of_touching_overlapping_and_parted_structures(shift_mm: float) -> None:
    """A positive shift lets the halves of a ball overlap, a negative one leaves a gap."""
    normal = (3, -2, 1)
    whole = ball((0, 0, 0), 20)
    halves = AnalyticField(
        {
            "LV": all_of(whole, half_space(normal, shift_mm)),
            "RV": all_of(whole, half_space((-3, 2, -1), shift_mm)),
        }
    )
    assert_like_dense(halves, cube(25, 64))


def test_a_field_steeper_than_a_distance() -> None:
    """Waves of slope 0.2 on true distances: as rough as the margin allows for."""

    def wavy(points: np.ndarray) -> np.ndarray:
        return ball((0, 0, 0), 20)(points) + 0.2 * np.sin(points).sum(axis=-1) / np.sqrt(3)

    assert_like_dense(AnalyticField({"LV": wavy}), cube(30, 80))


def test_walls_are_followed_where_blocks_were_misjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a margin far too small many blocks are misjudged, yet every wall comes out exact."""
    monkeypatch.setattr(octree, "MARGIN", 0.3)
    chambers = heart()
    del chambers.shapes["Coronary"]  # too thin to be met at all then
    assert_like_dense(chambers, cube(90, 60))


@settings(max_examples=25)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.5, 4)] * 3),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    shear=st.floats(-0.3, 0.3),
)
def test_any_affine_and_any_shape(
    angles: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
    flips: tuple[int, int, int],
    shape: tuple[int, int, int],
    shear: float,
) -> None:
    affine = np.eye(4)
    sheared = np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    turned = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turned @ sheared @ np.diag(np.multiply(spacing_mm, flips))
    affine[:3, 3] = np.array([10, 5, 0]) - affine[:3, :3] @ (np.array(shape) - 1) / 2
    field, grid = AnalyticField({"PA": ASYMMETRIC, "RA": ball((12, 9, 4), 7)}), Grid(shape, affine)
    labels = evaluate_exclusive(field, grid).labels
    np.testing.assert_array_equal(labels, sign.label_of(evaluate_dense(field, grid)))


def test_blocks_stay_below_the_truncation() -> None:
    """A field that is clipped at 3 mm must be asked more finely than one clipped at 8."""
    grid = cube(40, 100)
    shapes = {"LV": ball((0, 0, 0), 20), "Coronary": tube((-31, -22, -35), (33, 28, 30), 0.5)}
    assert_like_dense(AnalyticField(shapes, truncation_mm=3), grid)


def test_anisotropic_voxels_make_blocks_about_cubic() -> None:
    grid = Grid((128, 128, 20), np.diag([0.5, 0.5, 4, 1]))
    coarsest = evaluate_exclusive(AnalyticField({"LV": ball((32, 32, 40), 20)}), grid).levels[0]
    assert coarsest.size.tolist() == [8, 8, 1]


@given(
    distances=st.lists(
        st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3), min_size=1
    ).map(np.array)
)
def test_exclusive_distances_never_overlap(distances: np.ndarray) -> None:
    exclusive = exclusive_distances(distances)
    owned = sign.inside(exclusive)
    assert (owned.sum(axis=-1) <= 1).all()
    labels, lowest_two = sign.label_of(distances), np.sort(distances, axis=-1)[:, :2]
    tied = lowest_two[:, 0] == lowest_two[:, 1]
    np.testing.assert_array_equal(np.where(tied, labels, sign.label_of(exclusive)), labels)


def test_exclusive_distances_by_hand() -> None:
    f = np.array([[-2.0, -6.0, 5.0], [1.0, 3.0, 8.0], [-4.0, 4.0, 8.0]])
    np.testing.assert_array_equal(
        exclusive_distances(f), [[2.0, -2.0, 5.5], [1.0, 3.0, 8.0], [-4.0, 4.0, 8.0]]
    )


def test_the_extent_holds_even_a_thin_tip() -> None:
    thin = tube((-10, 5, 0), (63, 5, 0), 0.4)
    field = AnalyticField({"LV": ball((0, 0, 0), 20), "Coronary": thin})
    low, high = extent_mm(field, np.full(3, -100.0), np.full(3, 100.0))
    assert (low <= -20).all()
    assert (high >= [63.4, 20, 20]).all()
    assert (low >= -20 - 14).all()
    assert (high <= np.array([63.4, 20, 20]) + 14).all()


def test_an_empty_field_has_no_extent() -> None:
    field = AnalyticField({"LV": ball((500, 0, 0), 20)})
    with pytest.raises(InputError, match="finds no structure"):
        extent_mm(field, np.full(3, -100.0), np.full(3, 100.0))


def test_grids_cover_their_box_symmetrically() -> None:
    low, high = np.array([-10.0, 5.0, 0.0]), np.array([20.5, 25.0, 7.0])
    grid = Grid.around(low, high, 2.0)
    assert grid.shape == (16, 10, 4)
    first, last = grid.to_mm(np.zeros(3)) - 1, grid.to_mm(np.array(grid.shape) - 1.0) + 1
    assert (first <= low).all()
    assert (last >= high).all()
    np.testing.assert_allclose(first + last, low + high)
    assert max(Grid.fitted(low, high, 61).shape) == 61


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, np.nan])
def test_a_grid_needs_a_positive_spacing(spacing_mm: float) -> None:
    with pytest.raises(InputError, match="must be positive"):
        Grid.around(np.zeros(3), np.ones(3), spacing_mm)
