"""The field of view: it ends where the grid does, and where voxels are unknown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.shapes import grid_affine

from vecsetx.anatomy.field_of_view import EDGE_VOXELS, FieldOfView
from vecsetx.anatomy.label_map import LabelMap

SHAPE = (30, 26, 22)
GRIDS = {
    "spacing": st.tuples(*[st.floats(0.4, 4)] * 3),
    "angles": st.tuples(*[st.floats(-180, 180)] * 3),
    "flips": st.sampled_from(["", "i", "jk", "ijk"]),
    "shear": st.sampled_from([0.0, 0.3]),
    "seed": st.integers(0, 100),
}


def affine_of(spacing, angles, flips, shear) -> np.ndarray:
    turn = Rotation.from_euler("xyz", angles, degrees=True)
    affine = grid_affine(SHAPE, spacing, turn, flips)
    affine[:3, 0] += shear * affine[:3, 1]
    return affine


def to_mm(affine: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return indices @ affine[:3, :3].T + affine[:3, 3]


def nearest_unknown_mm(indices: np.ndarray, unknown: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Brute force: distances to dense points of the unknown voxels, grown by EDGE_VOXELS."""
    steps = np.linspace(-0.5 - EDGE_VOXELS, 0.5 + EDGE_VOXELS, 11)
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (np.argwhere(unknown)[:, None] + offsets).reshape(-1, 3)
    gaps = to_mm(affine, indices)[:, None] - to_mm(affine, points)
    return np.linalg.norm(gaps, axis=-1).min(axis=1)


@settings(max_examples=8)
@given(**GRIDS, axis=st.integers(0, 2), side=st.sampled_from([-1, 1]))
def test_unknown_slices_are_as_if_the_grid_ended(
    spacing, angles, flips, shear, seed, axis, side
) -> None:
    affine = affine_of(spacing, angles, flips, shear)
    unknown = np.zeros(SHAPE, bool)
    np.moveaxis(unknown, axis, 0)[::-side][:6] = True
    shape, start = np.array(SHAPE), np.zeros(3)
    shape[axis] -= 6
    start[axis] = 6 if side < 0 else 0
    rest = affine.copy()
    rest[:3, 3] = to_mm(affine, start)
    one, other = FieldOfView(SHAPE, affine, unknown), FieldOfView(tuple(shape.tolist()), rest)
    points_mm = to_mm(affine, np.random.default_rng(seed).uniform(-9, 39, (100, 3)))
    found, expected = one.edge_distances_mm(points_mm), other.edge_distances_mm(points_mm)
    in_unknown = found == -np.inf
    assert (expected[in_unknown] < 0).all()
    np.testing.assert_allclose(found[~in_unknown], expected[~in_unknown], rtol=0, atol=1e-4)
    for there, here in zip(one.nearest(points_mm), other.nearest(points_mm), strict=True):
        np.testing.assert_allclose(there, here, rtol=0, atol=1e-6)


@settings(max_examples=8)
@given(**GRIDS, half_voxels=st.integers(0, 4))
def test_an_edge_farther_out_is_that_of_a_larger_grid(
    spacing, angles, flips, shear, seed, half_voxels
) -> None:
    affine, inset = affine_of(spacing, angles, flips, shear), half_voxels / 2
    more = EDGE_VOXELS - inset
    larger = affine.copy()
    larger[:3, 3] = to_mm(affine, np.full(3, -more))
    shape = tuple((np.array(SHAPE) + round(2 * more)).tolist())
    points_mm = to_mm(affine, np.random.default_rng(seed).uniform(-9, 39, (100, 3)))
    found = FieldOfView(SHAPE, affine).edge_distances_mm(points_mm, inset)
    expected = FieldOfView(shape, larger).edge_distances_mm(points_mm)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@settings(max_examples=8)
@given(**GRIDS, some_unknown=st.booleans())
def test_a_scan_shows_its_known_voxels(spacing, angles, flips, shear, seed, some_unknown) -> None:
    affine, generator = affine_of(spacing, angles, flips, shear), np.random.default_rng(seed)
    known = generator.random(SHAPE) < (0.5 if some_unknown else 2)
    points_mm = to_mm(affine, generator.uniform(-9, 39, (500, 3)))
    view = FieldOfView(SHAPE, affine, ~known if some_unknown else None)
    expected = LabelMap(known.astype(np.uint8), affine).at(points_mm) == 1
    assert (view.shows(points_mm) == expected).all()
    assert expected.any()


@settings(max_examples=8)
@given(**GRIDS)
def test_distances_to_unknown_voxels_are_never_too_long(
    spacing, angles, flips, shear, seed
) -> None:
    affine, generator = affine_of(spacing, angles, flips, shear), np.random.default_rng(seed)
    unknown = np.zeros(SHAPE, bool)
    unknown[tuple(generator.integers(8, 14, (3, 4)))] = True
    indices = generator.uniform(4, 18, (40, 3))
    view = FieldOfView(SHAPE, affine, unknown)
    found = view.edge_distances_mm(to_mm(affine, indices))
    at_grid = FieldOfView(SHAPE, affine).edge_distances_mm(to_mm(affine, indices))
    true = nearest_unknown_mm(indices, unknown, affine)
    assert (found <= np.minimum(true, at_grid) + 1e-4).all()
    if not shear:  # a voxel's diagonal of caution at most
        diagonal_mm = np.linalg.norm(spacing)
        grown_mm = 0.55 * np.array(spacing).max()  # the dense points are half a voxel apart
        assert (np.minimum(true, at_grid) - found.clip(0) <= diagonal_mm + grown_mm).all()


def test_in_unknown_voxels_nothing_is_known_and_beside_them_nothing_is_trusted() -> None:
    unknown = np.zeros((40, 40, 40), bool)
    unknown[20, 20, 20] = True
    view = FieldOfView((40, 40, 40), np.eye(4), unknown)
    along = np.array([[20.0 + x, 20, 20] for x in (0, 0.4, 0.6, 2.4, 3, 4, 8)])
    found = view.edge_distances_mm(along)
    assert found[:2].tolist() == [-np.inf, -np.inf]
    # Trusted from 2.5 voxels on, and half a voxel of caution.
    np.testing.assert_allclose(found[2:], [0, 0, 0, 1, 5])
    assert FieldOfView((40, 40, 40), np.eye(4)).edge_distances_mm(along).min() > 9


def test_the_nearest_point_in_view_is_in_view_and_near() -> None:
    unknown = np.zeros(SHAPE, bool)
    unknown[12:16, 10:14, 8:12] = True
    affine = grid_affine(SHAPE, (1.0, 1.2, 2.0), Rotation.from_rotvec([0.3, 0.2, 0.5]), "i")
    view = FieldOfView(SHAPE, affine, unknown)
    points_mm = to_mm(affine, np.random.default_rng(0).uniform(-4, 30, (60, 3)))
    nearest_mm, away_mm = view.nearest(points_mm)
    shown = view.edge_distances_mm(points_mm) > 0
    np.testing.assert_array_equal(nearest_mm[shown], points_mm[shown])
    assert (away_mm[shown] == 0).all()
    assert (away_mm[~shown] > 0).all()
    assert (view.edge_distances_mm(nearest_mm) > -1e-4).all()
    # No voxel in view is nearer by more than a voxel's diagonal.
    centres_mm = to_mm(affine, np.argwhere(np.ones(SHAPE, bool)).astype(float))
    centres_mm = centres_mm[view.edge_distances_mm(centres_mm) > 0]
    best = np.linalg.norm(points_mm[~shown][:, None] - centres_mm, axis=-1).min(axis=1)
    assert (away_mm[~shown] <= best + 2.6).all()


@pytest.mark.parametrize("known", [0, 3])
def test_a_scan_of_which_too_little_is_known_has_no_field_of_view(known: int) -> None:
    unknown = np.ones((12, 12, 12), bool)
    unknown[:known] = False
    view = FieldOfView((12, 12, 12), np.eye(4), unknown)
    points_mm = np.random.default_rng(0).uniform(-2, 14, (50, 3))
    assert (view.edge_distances_mm(points_mm) <= 0).all()
    assert (view.nearest(points_mm)[1] == np.inf).all()


def test_scattered_unknown_voxels_may_leave_no_field_of_view() -> None:
    unknown = np.zeros((16, 16, 16), bool)
    unknown[2::4, 2::4, 2::4] = True
    view = FieldOfView((16, 16, 16), np.eye(4), unknown)
    points_mm = np.random.default_rng(0).uniform(0, 15, (50, 3))
    assert (view.edge_distances_mm(points_mm) <= 0).all()
    assert (view.nearest(points_mm)[1] == np.inf).all()
