"""Surfaces and label maps of fields known in closed form, in memory and read back from files."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from dense import dense_octree
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from support.analytic_fields import (
    ASYMMETRIC,
    OBLIQUE,
    AnalyticField,
    all_of,
    ball,
    grid_about,
    half_space,
    heart,
    tube,
)

from vecsetx.anatomy import sign
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.formats.label_maps import write_label_map
from vecsetx.reconstruction.decimation import decimate_interfaces, decimation_error
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_dense, evaluate_exclusive
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surface_net import shared_interfaces
from vecsetx.reconstruction.surfaces import (
    Surface,
    closed_surfaces,
    decimate,
    field_surfaces,
    label_map_surfaces,
    structure_surfaces,
)

Mesher = Callable[[AnalyticField, Grid], dict[str, Surface]]

AFFINES = {
    "ras": np.diag([1.0, 1.0, 1.0]),
    "lps": np.diag([-1.0, -1.0, 1.0]),
    "mirrored": np.diag([-1.0, 1.0, 1.0]),
    "anisotropic": np.diag([0.7, 0.7, 2.0]),
    "oblique": OBLIQUE @ np.diag([0.8, 0.8, 1.5]),
    "oblique mirrored": OBLIQUE @ np.diag([0.8, -0.8, 1.5]),
    "axes swapped": np.array([[0.0, 0.0, 1.0], [0.9, 0.0, 0.0], [0.0, -1.2, 0.0]]),
}


def assert_closed(surface: Surface) -> None:
    """Every edge is passed as often in one direction as in the other."""
    edges = surface.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    count = len(surface.vertices_mm)
    along, against = np.sort(edges @ [count, 1]), np.sort(edges @ [1, count])
    np.testing.assert_array_equal(along, against)


def as_trimesh(surface: Surface) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(surface.vertices_mm, surface.faces, process=False)
    mesh.merge_vertices()
    return mesh


@pytest.fixture(params=AFFINES.values(), ids=AFFINES.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    return grid_about((12, 4, 2), request.param, 32)


# Surfaces


MESHERS = pytest.mark.parametrize("meshed", [field_surfaces, closed_surfaces])


@MESHERS
@pytest.mark.parametrize("voxels", [48, 96])
def test_a_ball(voxels: int, meshed: Mesher) -> None:
    radius, center = 20.0, (31.0, -17.0, 210.0)
    grid = Grid.fitted(np.array(center) - 25, np.array(center) + 25.3, voxels)
    surface = meshed(AnalyticField({"LV": ball(center, radius)}), grid)["LV"]
    middles_mm = surface.vertices_mm[surface.faces].mean(axis=1)
    for points_mm in (surface.vertices_mm, middles_mm):
        off_mm = np.abs(np.linalg.norm(points_mm - np.array(center), axis=1) - radius)
        assert off_mm.max() <= 0.05 * grid.spacing_mm[0]
    assert surface.volume_mm3 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.005)
    assert surface.area_mm2 == pytest.approx(4 * np.pi * radius**2, rel=0.005)
    mesh = as_trimesh(surface)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    outwards = np.einsum("ij,ij->i", mesh.face_normals, mesh.triangles_center - center)
    assert outwards.min() > 0


def test_area_and_volume_of_a_box() -> None:
    box = trimesh.creation.box(extents=(2, 3, 5))
    surface = Surface(box.vertices.astype(np.float32) + 300, box.faces)
    assert surface.area_mm2 == pytest.approx(62)
    assert surface.volume_mm3 == pytest.approx(30)
    assert Surface(surface.vertices_mm, surface.faces[:, ::-1]).volume_mm3 == pytest.approx(-30)


@MESHERS
def test_every_affine_gives_the_same_outward_surface(grid: Grid, meshed: Mesher) -> None:
    surface = meshed(AnalyticField({"PA": ASYMMETRIC}), grid)["PA"]
    fine = grid_about((12, 4, 2), np.diag([0.5, 0.5, 0.5]), 32)
    truth = closed_surfaces(AnalyticField({"PA": ASYMMETRIC}), fine)["PA"]
    assert surface.volume_mm3 == pytest.approx(truth.volume_mm3, rel=0.02)
    np.testing.assert_allclose(surface.vertices_mm.max(axis=0), [36, 24, 6], atol=0.1)
    np.testing.assert_allclose(surface.vertices_mm.min(axis=0), [-6, -6, -16], atol=0.1)
    assert_closed(surface)
    if meshed is closed_surfaces:
        assert as_trimesh(surface).is_watertight


def test_surfaces_equal_those_of_the_dense_field() -> None:
    field, grid = heart(), Grid.fitted(np.full(3, -90.0), np.full(3, 90.0), 64)
    found, plain = (
        shared_interfaces(evaluate_exclusive(field, grid)),
        shared_interfaces(dense_octree(field, grid)),
    )
    np.testing.assert_array_equal(found.faces, plain.faces)
    np.testing.assert_array_equal(found.sides, plain.sides)
    apart_mm = np.abs(found.vertices_mm - plain.vertices_mm).max()
    assert apart_mm <= 0.01 * grid.spacing_mm[0]


def test_shared_walls_leave_no_gap_and_no_overlap() -> None:
    """All structures' closed surfaces together are the surface of their union, to the last bit."""
    field, grid = heart(), Grid.fitted(np.full(3, -90.0), np.full(3, 90.0), 64)
    interfaces = shared_interfaces(evaluate_exclusive(field, grid))
    first, second = interfaces.sides.T
    assert (first > 0).all()
    assert ((second == 0) | (first < second)).all()
    outer = Surface(interfaces.vertices_mm, interfaces.faces[second == 0])
    surfaces = structure_surfaces(interfaces, field.structures)
    parts_mm3 = [
        Surface(*interfaces.closed_surface(label)).volume_mm3
        for label in range(1, len(surfaces) + 1)
    ]
    assert min(parts_mm3) > 0
    assert_closed(outer)
    assert sum(parts_mm3) == pytest.approx(outer.volume_mm3, rel=1e-9)
    for label, surface in enumerate(surfaces.values(), start=1):
        assert_closed(surface)
        # Each wall appears in the surfaces of both its sides, and nowhere else.
        assert len(surface.faces) == (interfaces.sides == label).sum()


def test_smooth_structures_have_two_faces_at_every_edge() -> None:
    field = AnalyticField({"LA": ball((-8, 0, 0), 12), "RA": ball((8, 0, 0), 12)})
    surfaces = field_surfaces(field, Grid.fitted(np.full(3, -22.0), np.full(3, 22.3), 80))
    for surface in surfaces.values():
        assert surface.watertight
        assert as_trimesh(surface).is_watertight
        assert not Surface(surface.vertices_mm, surface.faces[1:]).watertight
        turned = surface.faces.copy()
        turned[0] = turned[0, ::-1]
        assert not Surface(surface.vertices_mm, turned).watertight


def test_a_coronary_within_the_muscle_is_whole_by_itself() -> None:
    """Shared walls give every point to one structure; by itself each keeps all of its own."""
    vessel = tube((-30, 3, 2), (30, -4, 5), 2)
    field = AnalyticField({"Myocardium": ball((0, 0, 0), 15), "Coronary": vessel})
    grid = Grid.fitted(np.full(3, -34.0), np.full(3, 34.0), 90)
    whole, cut = closed_surfaces(field, grid), field_surfaces(field, grid)
    length = np.linalg.norm([60, -7, 3])
    volume = np.pi * 4 * length + 4 / 3 * np.pi * 8
    assert whole["Coronary"].volume_mm3 == pytest.approx(volume, rel=0.06)
    assert as_trimesh(whole["Coronary"]).body_count == 1
    assert cut["Coronary"].volume_mm3 < 0.7 * volume
    assert all(surface.watertight for surface in whole.values())
    vertices_mm = whole["Coronary"].vertices_mm.astype(float)
    assert np.abs(vessel(vertices_mm)).max() < 0.1 * grid.spacing_mm[0]


@pytest.mark.parametrize("radius_voxels", [1.0, 1.5, 3.0])
def test_thin_tubes_keep_their_volume(radius_voxels: float) -> None:
    grid = Grid.fitted(np.full(3, -25.0), np.full(3, 25.3), 50)
    radius = radius_voxels * grid.spacing_mm[0]
    start, end = (-20.3, -15.1, -13.7), (17.3, 19.2, 14.1)
    thin = AnalyticField({"Coronary": tube(start, end, radius)})
    volume = np.pi * radius**2 * (np.linalg.norm(np.subtract(end, start)) + 4 / 3 * radius)
    surface = field_surfaces(thin, grid)["Coronary"]
    tolerance = {1.0: 0.15, 1.5: 0.03, 3.0: 0.01}[radius_voxels]
    assert surface.volume_mm3 == pytest.approx(volume, rel=tolerance)


def test_decimated_walls_still_fit() -> None:
    field, grid = heart(), Grid.fitted(np.full(3, -90.0), np.full(3, 90.0), 64)
    del field.shapes["Coronary"]  # thinner than a voxel here
    full = shared_interfaces(evaluate_exclusive(field, grid))
    coarse = decimate_interfaces(full, len(full.faces) // 2)
    assert len(coarse.faces) < 0.55 * len(full.faces)
    outer = Surface(coarse.vertices_mm, coarse.faces[coarse.sides[:, 1] == 0])
    parts = [Surface(*coarse.closed_surface(label)) for label in range(1, 10)]
    assert sum(part.volume_mm3 for part in parts) == pytest.approx(outer.volume_mm3, rel=1e-9)
    for label, part in enumerate(parts, start=1):
        assert_closed(part)
        before = Surface(*full.closed_surface(label))
        assert part.volume_mm3 == pytest.approx(before.volume_mm3, rel=0.05)


def test_the_decimation_error_by_hand() -> None:
    """A ball against one grown by 1 mm: 1 mm everywhere but for the flat faces between."""
    fine = trimesh.creation.icosphere(subdivisions=5, radius=20)
    surface = Surface(fine.vertices.astype(np.float32), fine.faces)
    grown = Surface((fine.vertices * 1.05).astype(np.float32), fine.faces)
    error = decimation_error(surface, grown)
    assert error.mean_mm == pytest.approx(1, abs=0.02)
    assert error.max_mm == pytest.approx(1, abs=0.02)
    assert error.faces_before == len(fine.faces)
    assert decimation_error(surface, surface).max_mm < 1e-5


@pytest.mark.parametrize("overlap_mm", [0.0, 2.0])
def test_touching_structures_share_their_wall(overlap_mm: float) -> None:
    """Two halves of a ball, exact or overlapping: one wall, half-way, the same vertices."""
    normal = np.array([3.0, -2.0, 1.0]) / np.sqrt(14)
    whole = ball((0, 0, 0), 20)
    field = AnalyticField(
        {
            "LV": all_of(whole, half_space(tuple(normal), overlap_mm / 2)),
            "RV": all_of(whole, half_space(tuple(-normal), overlap_mm / 2)),
        }
    )
    grid = Grid.fitted(np.full(3, -24.0), np.full(3, 24.0), 64)
    surfaces = field_surfaces(field, grid)
    for surface in surfaces.values():
        assert_closed(surface)
        deep = surface.vertices_mm[np.linalg.norm(surface.vertices_mm, axis=1) < 18]
        assert len(deep) > 1000
        assert np.abs(deep @ normal).max() < 0.02 * grid.spacing_mm[0]
    same = KDTree(surfaces["LV"].vertices_mm).query(surfaces["RV"].vertices_mm)[0] == 0
    assert same.sum() > 1000
    together = field_surfaces(AnalyticField({"Heart": whole}), grid)["Heart"].volume_mm3
    summed = sum(surface.volume_mm3 for surface in surfaces.values())
    assert summed == pytest.approx(together, rel=2e-3)  # the rim is a sharp edge


def test_two_balls_that_overlap_are_parted_in_the_middle() -> None:
    field = AnalyticField({"LA": ball((-8, 0, 0), 12), "RA": ball((8, 0, 0), 12)})
    grid = Grid.fitted(np.full(3, -22.0), np.full(3, 22.3), 80)
    surfaces = field_surfaces(field, grid)
    # The wall's rim is a sharp edge, which the grid knows to a third of a voxel.
    assert surfaces["LA"].vertices_mm[:, 0].max() <= 0.35 * grid.spacing_mm[0]
    assert surfaces["RA"].vertices_mm[:, 0].min() >= -0.35 * grid.spacing_mm[0]
    wall = np.linalg.norm(surfaces["LA"].vertices_mm[:, 1:], axis=1) < 8
    wall &= surfaces["LA"].vertices_mm[:, 0] > -2
    assert wall.sum() > 300
    assert np.abs(surfaces["LA"].vertices_mm[wall, 0]).max() <= 0.01 * grid.spacing_mm[0]
    union = np.pi * (4 / 3 * 12**3 * 2 - 2 * 4**2 * (3 * 12 - 4) / 3)
    summed = sum(surface.volume_mm3 for surface in surfaces.values())
    assert summed == pytest.approx(union, rel=0.005)


def test_the_rim_where_three_meet_is_no_saw() -> None:
    """Two balls' common rim is a circle; its length tells a saw from a curve."""
    field = AnalyticField({"LA": ball((-8, 0, 0), 12), "RA": ball((8, 0, 0), 12)})
    grid = Grid.fitted(np.full(3, -22.0), np.full(3, 22.3), 80)
    walls = shared_interfaces(evaluate_exclusive(field, grid))
    between = walls.faces[walls.sides[:, 1] == 2]
    edges = np.sort(between[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    rim = walls.vertices_mm[edges[uses == 1]]
    length_mm = np.linalg.norm(rim[:, 1] - rim[:, 0], axis=1).sum()
    assert length_mm == pytest.approx(2 * np.pi * np.sqrt(80), rel=0.015)


def test_a_gap_stays_a_gap() -> None:
    whole = ball((0, 0, 0), 20)
    field = AnalyticField(
        {
            "LV": all_of(whole, half_space((1, 0, 0), -1.0)),
            "RV": all_of(whole, half_space((-1, 0, 0), -1.0)),
        }
    )
    surfaces = field_surfaces(field, Grid.fitted(np.full(3, -24.0), np.full(3, 24.5), 64))
    assert surfaces["LV"].vertices_mm[:, 0].max() == pytest.approx(-1, abs=0.1)
    assert surfaces["RV"].vertices_mm[:, 0].min() == pytest.approx(1, abs=0.1)


@MESHERS
def test_a_structure_cut_by_the_grid_is_closed_half_a_voxel_beyond(meshed: Mesher) -> None:
    grid = Grid((30, 30, 30), np.diag([1.0, 1.0, 1.0, 1.0]))
    surface = meshed(AnalyticField({"Aorta": ball((0, 15, 15), 10)}), grid)["Aorta"]
    assert as_trimesh(surface).is_watertight
    assert surface.vertices_mm[:, 0].min() == pytest.approx(-0.5, abs=0.15)  # the rim is sharp
    assert surface.volume_mm3 == pytest.approx(2 / 3 * np.pi * 1000 + 50 * np.pi, rel=0.015)


def test_a_one_voxel_tube_is_one_closed_piece() -> None:
    grid = Grid.fitted(np.full(3, -40.0), np.full(3, 40.0), 80)
    thin = AnalyticField({"Coronary": tube((-31, -22, -35), (33, 28, 30), 0.9)})
    mesh = as_trimesh(closed_surfaces(thin, grid)["Coronary"])
    assert mesh.body_count == 1
    assert mesh.is_watertight
    shared = field_surfaces(thin, grid)["Coronary"]
    assert_closed(shared)
    assert as_trimesh(shared).body_count == 1


def test_absent_structures_have_no_surface() -> None:
    field = AnalyticField({"LV": ball((0, 0, 0), 9), "PV": ball((500, 0, 0), 9)})
    assert list(field_surfaces(field, grid_about((0, 0, 0), np.eye(3), 12))) == ["LV"]


def test_decimation_keeps_the_shape() -> None:
    fine = field_surfaces(
        AnalyticField({"LV": ball((100, 0, 0), 20)}), grid_about((100, 0, 0), np.eye(3), 24)
    )["LV"]
    coarse = decimate(fine, 1000)
    assert len(coarse.faces) <= 1000
    assert coarse.volume_mm3 == pytest.approx(fine.volume_mm3, rel=0.01)
    assert as_trimesh(coarse).is_watertight
    assert decimate(coarse, 1000) is coarse


def test_surfaces_of_a_label_map(grid: Grid) -> None:
    field = AnalyticField({"PA": ASYMMETRIC, "PV": ball((500, 0, 0), 9), "LA": ball((12, 9, 4), 7)})
    surfaces = label_map_surfaces(rasterize(field, grid), field.structures)
    reconstructed = field_surfaces(field, grid)
    assert list(surfaces) == ["PA", "LA"]
    for name, surface in surfaces.items():
        assert surface.vertices_mm.dtype == np.float32
        assert surface.volume_mm3 == pytest.approx(reconstructed[name].volume_mm3, rel=0.06)
        apart_mm = KDTree(surface.vertices_mm).query(reconstructed[name].vertices_mm)[0]
        assert apart_mm.max() < 1.5 * grid.spacing_mm.max()


# Label maps


def test_labels_come_back_to_the_voxel(grid: Grid, tmp_path: Path) -> None:
    field = AnalyticField({"PA": ASYMMETRIC, "LA": ball((-5, 20, 14), 7)})
    write_label_map(rasterize(field, grid), tmp_path / "labels.nii.gz")
    image = nib.load(tmp_path / "labels.nii.gz")
    voxels = np.stack(np.indices(image.shape), axis=-1)
    points_mm = apply_affine(image.affine, voxels.reshape(-1, 3))
    truth = np.where(ASYMMETRIC(points_mm) < 0, 1, 0)
    truth[ball((-5, 20, 14), 7)(points_mm) < 0] = 2
    margin = np.minimum(np.abs(ASYMMETRIC(points_mm)), np.abs(ball((-5, 20, 14), 7)(points_mm)))
    sure = margin > 1e-3  # the header keeps the affine in float32
    labels = np.asarray(image.dataobj).ravel()
    np.testing.assert_array_equal(labels[sure], truth[sure])
    assert (labels == 1).sum() * abs(np.linalg.det(image.affine[:3, :3])) > 5000


def test_rasterizing_like_a_label_map() -> None:
    grid = grid_about((12, 4, 2), AFFINES["oblique mirrored"], 32)
    like = LabelMap(np.zeros(grid.shape, np.uint8), grid.affine)
    field = AnalyticField({"PA": ASYMMETRIC})
    rasterized = rasterize(field, like)
    assert rasterized.labels.dtype == np.uint8
    np.testing.assert_array_equal(rasterized.affine, grid.affine)
    np.testing.assert_array_equal(
        rasterized.labels, sign.label_of(evaluate_dense(field, grid))[...]
    )


# Files


@settings(max_examples=10)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    offset=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_surfaces_do_not_depend_on_the_grid(
    angles: tuple[float, float, float],
    flips: tuple[int, int, int],
    offset: tuple[float, float, float],
) -> None:
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(flips)
    field = AnalyticField({"PA": lambda points: ASYMMETRIC(points - np.array(offset))})
    center = (offset[0] + 12, offset[1] + 4, offset[2] + 2)
    surface = field_surfaces(field, grid_about(center, matrix, 40))["PA"]
    assert np.abs(field.shapes["PA"](surface.vertices_mm)).max() < 0.4  # in the creases
    assert surface.volume_mm3 == pytest.approx(7_260, rel=0.01)
