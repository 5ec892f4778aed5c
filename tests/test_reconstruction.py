"""Surfaces and label maps of fields known in closed form, in memory and read back from files."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from analytic_fields import (
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
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from vecsetx.anatomy import sign
from vecsetx.anatomy.labelmap import LabelMap, write_label_map
from vecsetx.reconstruction.field import exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_dense
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import (
    Surface,
    decimated,
    field_surfaces,
    label_map_surfaces,
    zero_surface,
)

AFFINES = {
    "ras": np.diag([1.0, 1.0, 1.0]),
    "lps": np.diag([-1.0, -1.0, 1.0]),
    "mirrored": np.diag([-1.0, 1.0, 1.0]),
    "anisotropic": np.diag([0.7, 0.7, 2.0]),
    "oblique": OBLIQUE @ np.diag([0.8, 0.8, 1.5]),
    "oblique mirrored": OBLIQUE @ np.diag([0.8, -0.8, 1.5]),
    "axes swapped": np.array([[0.0, 0.0, 1.0], [0.9, 0.0, 0.0], [0.0, -1.2, 0.0]]),
}


def as_trimesh(surface: Surface) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(surface.vertices_mm, surface.faces, process=False)
    mesh.merge_vertices()
    return mesh


@pytest.fixture(params=AFFINES.values(), ids=AFFINES.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    return grid_about((12, 4, 2), request.param, 32)


# Surfaces


@pytest.mark.parametrize("voxels", [48, 96])
def test_a_ball(voxels: int) -> None:
    radius, center = 20.0, (31.0, -17.0, 210.0)
    grid = Grid.fitted(np.array(center) - 25, np.array(center) + 25.3, voxels)
    surface = field_surfaces(AnalyticField({"LV": ball(center, radius)}), grid)["LV"]
    off_mm = np.abs(np.linalg.norm(surface.vertices_mm - np.array(center), axis=1) - radius)
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


def test_every_affine_gives_the_same_outward_surface(grid: Grid) -> None:
    surface = field_surfaces(AnalyticField({"PA": ASYMMETRIC}), grid)["PA"]
    fine = grid_about((12, 4, 2), np.diag([0.5, 0.5, 0.5]), 32)
    truth = field_surfaces(AnalyticField({"PA": ASYMMETRIC}), fine)["PA"]
    assert surface.volume_mm3 == pytest.approx(truth.volume_mm3, rel=0.02)
    np.testing.assert_allclose(surface.vertices_mm.max(axis=0), [36, 24, 6], atol=0.1)
    np.testing.assert_allclose(surface.vertices_mm.min(axis=0), [-6, -6, -16], atol=0.1)
    assert as_trimesh(surface).is_watertight


def test_surfaces_equal_those_of_the_dense_field() -> None:
    field, grid = heart(), Grid.fitted(np.full(3, -90.0), np.full(3, 90.0), 64)
    dense = evaluate_dense(field, grid)
    exclusive, labels = exclusive_distances(dense), sign.label_of(dense)
    surfaces = field_surfaces(field, grid)
    assert list(surfaces) == list(field.structures)
    for index, surface in enumerate(surfaces.values()):
        plain = zero_surface(exclusive[..., index], labels == index + 1, grid, np.zeros(3, int))
        assert surface.faces.shape == plain.faces.shape
        assert surface.vertices_mm.shape == plain.vertices_mm.shape
        assert KDTree(surface.vertices_mm).query(plain.vertices_mm)[0].max() < 1e-4


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
    walls = []
    for surface in surfaces.values():
        on_wall = np.abs(surface.vertices_mm @ normal) < 2e-3
        deep = np.linalg.norm(surface.vertices_mm, axis=1) < 18
        walls.append(surface.vertices_mm[on_wall & deep])
        assert as_trimesh(surface).is_watertight
    assert len(walls[0]) == len(walls[1]) > 1000
    # Not nearer where the wall meets voxel centres, which vertices keep clear of.
    assert KDTree(walls[0]).query(walls[1])[0].max() <= 0.01 * grid.spacing_mm[0]
    together = field_surfaces(AnalyticField({"Heart": whole}), grid)["Heart"].volume_mm3
    summed = sum(surface.volume_mm3 for surface in surfaces.values())
    assert summed == pytest.approx(together, rel=2e-3)  # the rim is a sharp edge


def test_two_balls_that_overlap_are_parted_in_the_middle() -> None:
    field = AnalyticField({"LA": ball((-8, 0, 0), 12), "RA": ball((8, 0, 0), 12)})
    grid = Grid.fitted(np.full(3, -22.0), np.full(3, 22.3), 80)
    surfaces = field_surfaces(field, grid)
    assert surfaces["LA"].vertices_mm[:, 0].max() <= 1e-3
    assert surfaces["RA"].vertices_mm[:, 0].min() >= -1e-3
    union = np.pi * (4 / 3 * 12**3 * 2 - 2 * 4**2 * (3 * 12 - 4) / 3)
    summed = sum(surface.volume_mm3 for surface in surfaces.values())
    assert summed == pytest.approx(union, rel=0.005)


def test_a_gap_stays_a_gap() -> None:
    whole = ball((0, 0, 0), 20)
    field = AnalyticField(
        {
            "LV": all_of(whole, half_space((1, 0, 0), -1.0)),
            "RV": all_of(whole, half_space((-1, 0, 0), -1.0)),
        }
    )
    surfaces = field_surfaces(field, Grid.fitted(np.full(3, -24.0), np.full(3, 24.5), 64))
    assert surfaces["LV"].vertices_mm[:, 0].max() == pytest.approx(-1, abs=0.01)
    assert surfaces["RV"].vertices_mm[:, 0].min() == pytest.approx(1, abs=0.01)


def test_a_structure_cut_by_the_grid_is_closed_half_a_voxel_beyond() -> None:
    grid = Grid((30, 30, 30), np.diag([1.0, 1.0, 1.0, 1.0]))
    surface = field_surfaces(AnalyticField({"Aorta": ball((0, 15, 15), 10)}), grid)["Aorta"]
    assert as_trimesh(surface).is_watertight
    assert surface.vertices_mm[:, 0].min() == pytest.approx(-0.5, abs=1e-4)
    assert surface.volume_mm3 == pytest.approx(2 / 3 * np.pi * 1000 + 50 * np.pi, rel=0.015)


def test_a_one_voxel_tube_is_one_closed_piece() -> None:
    grid = Grid.fitted(np.full(3, -40.0), np.full(3, 40.0), 80)
    thin = AnalyticField({"Coronary": tube((-31, -22, -35), (33, 28, 30), 0.9)})
    mesh = as_trimesh(field_surfaces(thin, grid)["Coronary"])
    assert mesh.body_count == 1
    assert mesh.is_watertight


def test_absent_structures_have_no_surface() -> None:
    field = AnalyticField({"LV": ball((0, 0, 0), 9), "PV": ball((500, 0, 0), 9)})
    assert list(field_surfaces(field, grid_about((0, 0, 0), np.eye(3), 12))) == ["LV"]


def test_decimation_keeps_the_shape() -> None:
    fine = field_surfaces(
        AnalyticField({"LV": ball((100, 0, 0), 20)}), grid_about((100, 0, 0), np.eye(3), 24)
    )["LV"]
    coarse = decimated(fine, 1000)
    assert len(coarse.faces) <= 1000
    assert coarse.volume_mm3 == pytest.approx(fine.volume_mm3, rel=0.01)
    assert as_trimesh(coarse).is_watertight
    assert decimated(coarse, 1000) is coarse


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
    assert np.abs(field.shapes["PA"](surface.vertices_mm)).max() < 0.3  # in the creases
    assert surface.volume_mm3 == pytest.approx(7_260, rel=0.01)
