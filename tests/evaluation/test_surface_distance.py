"""Distances between surfaces: closed forms, hand-made cases, and a second implementation."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.spatial.transform import Rotation
from support import analytic_fields
from support.shapes import CENTRE_MM, grid_affine

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.evaluation.surface_distance import (
    element_distances,
    mesh_distances,
    mesh_elements,
    surface_elements,
    surface_voxels,
    voxel_distances,
)
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.surfaces import Surface, field_surfaces, label_map_surfaces

shapes = st.tuples(*[st.integers(1, 6)] * 3)
masks = shapes.flatmap(lambda shape: arrays(np.bool_, shape)).filter(np.any)
pairs = shapes.flatmap(
    lambda shape: st.tuples(*[arrays(np.bool_, shape).filter(np.any) for _ in range(2)])
)
spacings = st.tuples(*[st.floats(0.3, 3.0)] * 3)


def affine_of(*spacing_mm: float) -> np.ndarray:
    return np.diag([*spacing_mm, 1.0])


def agreement(truth, prediction, affine, tolerance_mm) -> tuple[float, float, float]:
    """ASSD, HD95 and NSD."""
    voxels = voxel_distances(truth, prediction, affine)
    nsd = element_distances(truth, prediction, affine).nsd(tolerance_mm)
    return voxels.assd_mm(), voxels.hd95_mm(), nsd


def ball(radius_mm: float, affine: np.ndarray, shape=(64, 64, 64), moved_mm=0.0) -> np.ndarray:
    """A ball about (30, −20, 10) mm, the centre of the grids of :func:`grid_affine`."""
    points = np.stack(np.indices(shape), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    return np.linalg.norm(points - [30.0, -20.0, 10.0 + moved_mm], axis=-1) < radius_mm


def of_second_implementation(truth, prediction, spacing_mm, tolerance_mm) -> tuple[float, ...]:
    """MONAI's ASSD, HD95 (whose percentile it takes in single precision) and NSD."""
    from monai import metrics  # here, because it takes seconds to import

    sides = [torch.from_numpy(np.pad(side, 2))[None, None] for side in (prediction, truth)]
    options = {"include_background": True, "spacing": spacing_mm}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of an argument that MONAI itself passes on
        found = (
            metrics.compute_average_surface_distance(*sides, symmetric=True, **options),
            metrics.compute_hausdorff_distance(*sides, percentile=95, **options),
            metrics.compute_surface_dice(*sides, [tolerance_mm], use_subvoxels=True, **options),
        )
    return tuple(map(float, found))


def of_distance_maps(truth, prediction, spacing_mm) -> tuple[float, float]:
    """ASSD and HD95 out of erosion and a distance transform of the whole grid."""
    rims = [side & ~ndimage.binary_erosion(side) for side in (truth, prediction)]
    maps = [ndimage.distance_transform_edt(~rim, sampling=spacing_mm) for rim in rims]
    ways = [maps[1][rims[0]], maps[0][rims[1]]]
    return np.concatenate(ways).mean(), max(np.percentile(way, 95) for way in ways)


@settings(max_examples=40)
@given(pairs, spacings, st.floats(0.1, 4.0))
def test_a_second_implementation_agrees(sides, spacing_mm, tolerance_mm) -> None:
    apart = element_distances(*sides, affine_of(*spacing_mm))
    ties = np.concatenate([apart.truth_mm, apart.prediction_mm]) - tolerance_mm
    assume(np.abs(ties).min() > 1e-5)  # which rounding would decide
    mine = agreement(*sides, affine_of(*spacing_mm), tolerance_mm)
    theirs = of_second_implementation(*sides, spacing_mm, tolerance_mm)
    assert mine[::2] == pytest.approx(theirs[::2], rel=1e-6, abs=1e-6)
    assert mine[1] == pytest.approx(theirs[1], rel=1e-4, abs=1e-4)
    assert mine[:2] == pytest.approx(of_distance_maps(*sides, spacing_mm), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_second_implementation_agrees_on_blobs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blobs = [ndimage.gaussian_filter(rng.normal(size=(40, 30, 20)), 2.5) > 0.05 for _ in range(2)]
    spacing_mm = tuple(rng.uniform(0.4, 2.0, 3).tolist())
    mine = agreement(*blobs, affine_of(*spacing_mm), 1.234)
    theirs = of_second_implementation(*blobs, spacing_mm, 1.234)
    assert mine[::2] == pytest.approx(theirs[::2], abs=1e-6)
    assert mine[1] == pytest.approx(theirs[1], abs=1e-4)
    assert mine[:2] == pytest.approx(of_distance_maps(*blobs, spacing_mm), abs=1e-9)


def test_one_voxel_by_hand() -> None:
    """Its centre; and eight corners, each with the triangle that cuts off half a voxel's corner."""
    voxel = np.zeros((3, 3, 3), bool)
    voxel[1, 1, 1] = True
    np.testing.assert_array_equal(surface_voxels(voxel, affine_of(2, 2, 2)), [[2, 2, 2]])
    elements = surface_elements(voxel, affine_of(2, 2, 2))
    corners = {(x, y, z) for x in (1.0, 3.0) for y in (1.0, 3.0) for z in (1.0, 3.0)}
    assert set(map(tuple, elements.points_mm)) == corners
    assert elements.areas_mm2 == pytest.approx([np.sqrt(3) / 2] * 8)


def test_shifted_cubes_by_hand() -> None:
    """5³ voxels of 1 × 2 × 3 mm and the same one voxel further along the first axis."""
    truth = np.zeros((9, 7, 7), bool)
    truth[1:6, 1:6, 1:6] = True
    shifted = np.roll(truth, 1, axis=0)
    assert len(surface_voxels(truth, np.eye(4))) == 5**3 - 3**3
    found = voxel_distances(truth, shifted, affine_of(1, 2, 3))
    # Of each cube the end that sticks out (25 voxels) is 1 mm away, and so are the 9 voxels in the
    # middle of the other end, as they lie within the other cube, under its end.
    for side in (found.truth_mm, found.prediction_mm):
        assert sorted(side) == [0.0] * 64 + [1.0] * 34
    assert found.assd_mm() == pytest.approx(34 / 98)
    assert found.hd95_mm() == 1.0


def test_a_slab_by_hand() -> None:
    """Of a plane one voxel thick, 2 mm from another, everything is 2 mm away."""
    truth, prediction = np.zeros((2, 4, 30, 30), bool)
    truth[0], prediction[2] = True, True
    found = agreement(truth, prediction, affine_of(1, 1, 1), 0.999)
    # The elements lie half a voxel to both sides of each plane: half of them 1 mm from the other's.
    assert found == pytest.approx((2.0, 2.0, 0.0))
    assert agreement(truth, prediction, affine_of(1, 1, 1), 1.0)[2] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("flips", ["", "i", "jk"])
def test_concentric_balls(flips: str) -> None:
    """On an oblique, anisotropic, mirrored grid: everywhere the radii's difference apart."""
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)
    shape = (96, 80, 48)
    affine = grid_affine(shape, (0.5, 0.6, 1.0), turn, flips)
    inner, outer = (ball(radius, affine, shape) for radius in (15.0, 18.0))
    found = voxel_distances(inner, outer, affine)
    assert found.assd_mm() == pytest.approx(3.0, abs=0.2)
    assert found.hd95_mm() == pytest.approx(3.0, abs=0.3)
    elements = element_distances(inner, outer, affine)
    assert (elements.nsd(1.5), elements.nsd(3.6)) == (0, pytest.approx(1))
    # The area of a staircase that marching cubes have bevelled, a tenth too large.
    assert elements.truth_mm2.sum() == pytest.approx(4 * np.pi * 15**2, rel=0.13)


def test_shifted_balls() -> None:
    """See :func:`test_shifted_spheres_as_meshes` for the closed form."""
    affine = grid_affine((80, 80, 80), (0.5, 0.5, 0.5), Rotation.identity(), "")
    sides = [ball(15, affine, (80,) * 3, moved) for moved in (-1.5, 1.5)]
    apart = _apart(15.0, 3.0)
    found = agreement(*sides, affine, 1.5)
    assert found[0] == pytest.approx(apart.mean(), abs=0.1)
    assert found[1] == pytest.approx(np.quantile(apart, 0.95), abs=0.2)


@given(masks, st.integers(0, 2**32 - 1))
def test_surfaces_follow_the_affine(mask: np.ndarray, seed: int) -> None:
    """Sheared and mirrored, too; a turn keeps areas, a stretch by 2 makes them four times as
    large."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4)) + 2 * np.eye(3, 4)
    assume(abs(np.linalg.det(affine[:3, :3])) > 0.05)
    here, plain = surface_elements(mask, affine), surface_elements(mask, np.eye(4))
    expected = plain.points_mm @ affine[:3, :3].T + affine[:3, 3]
    np.testing.assert_allclose(here.points_mm, expected)
    stretched = np.eye(4)
    stretched[:3, :3] = 2 * Rotation.random(rng=rng).as_matrix() @ affine[:3, :3]
    np.testing.assert_allclose(surface_elements(mask, stretched).areas_mm2, 4 * here.areas_mm2)


def test_a_sheared_grid_scores_as_the_shapes_that_it_shows() -> None:
    """A gantry's tilt: the same balls, the voxels' columns slanting."""
    straight = grid_affine((80, 80, 80), (0.6, 0.6, 0.6), Rotation.identity(), "")
    slanting = straight.copy()
    slanting[1, 2] = 0.2
    slanting[:3, 3] = np.array([30.0, -20.0, 10.0]) - slanting[:3, :3] @ np.full(3, 39.5)
    for affine in (straight, slanting):
        sides = [ball(radius, affine, (80,) * 3) for radius in (13, 16)]
        assert voxel_distances(*sides, affine).assd_mm() == pytest.approx(3, abs=0.15)
        areas_mm2 = surface_elements(sides[0], affine).areas_mm2
        assert areas_mm2.sum() == pytest.approx(4 * np.pi * 13**2, rel=0.12)


@given(pairs, spacings)
def test_symmetry_and_bounds(sides, spacing_mm) -> None:
    affine = affine_of(*spacing_mm)
    diagonal_mm = np.linalg.norm(np.multiply(sides[0].shape, spacing_mm))
    here, back = (agreement(*pair, affine, 1.0) for pair in (sides, sides[::-1]))
    assert here == pytest.approx(back)
    assert 0 <= here[0] <= diagonal_mm
    assert 0 <= here[1] <= diagonal_mm
    apart = element_distances(*sides, affine)
    shares = [apart.nsd(tolerance) for tolerance in (0.0, 0.5, 1.0, 2.0, diagonal_mm)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


@given(masks, spacings)
def test_a_structure_agrees_with_itself(mask: np.ndarray, spacing_mm) -> None:
    assert agreement(mask, mask, affine_of(*spacing_mm), 0.0) == (0, 0, 1)


@given(pairs, spacings, st.permutations([0, 1, 2]))
def test_the_order_and_direction_of_axes_do_not_count(sides, spacing_mm, order) -> None:
    affine = affine_of(*spacing_mm)
    turned = affine.copy()
    turned[:3, :3] = affine[:3, :3][:, order] * [-1, 1, 1]
    turned[:3, 3] = affine[:3, order[0]] * (sides[0].shape[order[0]] - 1)
    moved = [np.transpose(side, order)[::-1] for side in sides]
    assert agreement(*moved, turned, 1.01) == pytest.approx(agreement(*sides, affine, 1.01))


@given(masks)
def test_a_structure_at_the_edge_of_the_grid_is_closed_there(mask: np.ndarray) -> None:
    elements = [surface_elements(m, np.eye(4)).areas_mm2.sum() for m in (mask, np.pad(mask, 1))]
    assert elements[0] == pytest.approx(elements[1])
    assert len(surface_voxels(mask, np.eye(4))) == len(surface_voxels(np.pad(mask, 1), np.eye(4)))


# Meshes


def sphere(radius: float, center=(0.0, 0.0, 0.0), subdivisions: int = 4) -> Surface:
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    vertices_mm = (mesh.vertices + center).astype(np.float32)
    return Surface(vertices_mm, np.asarray(mesh.faces, np.int64))


def test_concentric_spheres_as_meshes() -> None:
    found = mesh_distances(sphere(20), sphere(22))
    assert found.assd_mm() == pytest.approx(2, abs=0.01)
    assert found.hd95_mm() == pytest.approx(2, abs=0.02)
    assert (found.nsd(1.9), found.nsd(2.1)) == (0, 1)
    assert found.truth_mm2.sum() == pytest.approx(4 * np.pi * 20**2, rel=0.002)


def _apart(radius: float, shift: float) -> np.ndarray:
    """Distances between two spheres: a point at angle θ from the shift s lies
    |√(r² + s² + 2rs·cosθ) − r| from the other, and cosθ is uniform on a sphere."""
    cosine = np.linspace(-1, 1, 20001)
    return np.abs(np.sqrt(radius**2 + shift**2 + 2 * radius * shift * cosine) - radius)


def test_shifted_spheres_as_meshes() -> None:
    found = mesh_distances(sphere(20), sphere(20, (0, 0, 3)))
    apart = _apart(20.0, 3.0)
    assert found.assd_mm() == pytest.approx(apart.mean(), abs=0.01)
    assert found.hd95_mm() == pytest.approx(np.quantile(apart, 0.95), abs=0.02)
    assert found.nsd(1.0) == pytest.approx((apart <= 1.0).mean(), abs=0.01)


def test_distances_to_meshes_are_those_of_a_second_implementation() -> None:
    a, b = sphere(10, subdivisions=1), sphere(7, (4, -2, 1), subdivisions=2)
    found = mesh_distances(a, b)
    for points, other, mine in ((a, b, found.truth_mm), (b, a, found.prediction_mm)):
        mesh = trimesh.Trimesh(other.vertices_mm.astype(float), other.faces, process=False)
        every_triangle = np.repeat(mesh.triangles, len(points.vertices_mm), axis=0)
        every_point = np.tile(points.vertices_mm.astype(float), (len(mesh.faces), 1))
        nearest = trimesh.triangles.closest_point(every_triangle, every_point)
        apart = np.linalg.norm(nearest - every_point, axis=1).reshape(len(mesh.faces), -1)
        np.testing.assert_allclose(mine, apart.min(axis=0), atol=1e-6)


def test_vertices_without_faces_do_not_count() -> None:
    plain = sphere(5, subdivisions=1)
    stray = np.vstack([plain.vertices_mm, np.float32([[500, 0, 0]])])
    with_stray = Surface(stray, plain.faces)
    assert mesh_elements(with_stray).points_mm.shape == plain.vertices_mm.shape
    assert mesh_distances(with_stray, sphere(6, subdivisions=1)).hd95_mm() < 2


# The table in the documentation


def balls_scored(apart_mm: float, moved_mm: float) -> dict[str, list[float]]:
    """What the scores say of two balls on an oblique grid of 0.6 mm, after what is true.

    The truth's radius is 15 mm. Meshes are made as for a score: the truth's of its label map, the
    prediction's of its field.
    """
    shape, radius = (70, 70, 70), 15.0
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)
    affine = grid_affine(shape, (0.6, 0.6, 0.6), turn, "")
    sides = ball(radius, affine, shape), ball(radius + apart_mm, affine, shape, moved_mm)
    field = analytic_fields.AnalyticField(
        {"LV": analytic_fields.ball(CENTRE_MM + [0, 0, moved_mm], radius + apart_mm)}
    )
    meshes = mesh_distances(
        label_map_surfaces(LabelMap(sides[0].astype(np.uint8), affine), ("LV",))["LV"],
        field_surfaces(field, Grid(shape, affine))["LV"],
    )
    true = _apart(radius, moved_mm) + apart_mm
    ways = voxel_distances(*sides, affine), element_distances(*sides, affine), meshes
    return {
        "ASSD": [true.mean(), *(found.assd_mm() for found in ways)],
        "HD95": [np.quantile(true, 0.95), *(found.hd95_mm() for found in ways)],
    }


def test_the_table_of_balls_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text()
    rows = re.findall(r"^\| (ASSD|HD95), (radii|moved by) ([\d.]+) mm.*? \|(.*)\|$", page, re.M)
    assert len(rows) == 7
    for measure, how, by, figures in rows:
        by_mm = float(by)
        found = balls_scored(by_mm, 0.0) if how == "radii" else balls_scored(0.0, by_mm)
        told = [float(figure) for figure in figures.split("|")]
        assert told == pytest.approx(found[measure], abs=0.006), (measure, how, by)
