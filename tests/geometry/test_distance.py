import igl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.shapes import CENTRE_MM, ball_in_shell_distances, grid_affine, voxelized

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.interfaces import shared_surface


def measured(label_map: LabelMap, points_mm: np.ndarray, count: int = 2) -> np.ndarray:
    surface = shared_surface(label_map)
    closed = [surface.closed_surface(k) for k in range(1, count + 1)]
    return signed_distances_mm(points_mm, closed, label_map)


@settings(max_examples=12, deadline=None)
@given(
    spacing=st.tuples(*[st.floats(0.6, 1.8)] * 3),
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    flips=st.sampled_from(["", "i", "j", "ij", "ijk"]),
    seed=st.integers(0, 1000),
)
def test_distances_agree_with_the_truth_under_any_affine(spacing, angles, flips, seed) -> None:
    shape = tuple(int(60 / s) for s in spacing)
    turn = Rotation.from_euler("xyz", angles, degrees=True)
    label_map = voxelized(ball_in_shell_distances, shape, grid_affine(shape, spacing, turn, flips))
    generator = np.random.default_rng(seed)
    points = CENTRE_MM + generator.uniform(-35, 35, (2000, 3))
    found, true = measured(label_map, points), ball_in_shell_distances(points)
    near, voxel_mm = np.abs(true) < 3, max(spacing)
    assert np.abs(found - true)[near].mean() < 0.12 * voxel_mm
    assert np.abs(found - true).max() < 0.75 * voxel_mm
    clear = np.abs(true) > 0.6 * voxel_mm
    np.testing.assert_array_equal((found < 0)[clear], (true < 0)[clear])
    assert ((found < 0).sum(axis=1) <= 1).all()


def test_no_point_has_no_distance() -> None:
    label_map = voxelized(
        ball_in_shell_distances,
        (30, 30, 30),
        grid_affine((30,) * 3, (2,) * 3, Rotation.identity(), ""),
    )
    assert measured(label_map, np.empty((0, 3))).shape == (0, 2)


def test_slope_at_the_surface_is_one() -> None:
    """An EDT without its half voxel has slope 2 there."""
    shape = (60, 60, 60)
    label_map = voxelized(
        ball_in_shell_distances, shape, grid_affine(shape, (1, 1, 1), Rotation.identity(), "")
    )
    generator = np.random.default_rng(0)
    direction = generator.standard_normal((500, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    inner, outer = (measured(label_map, CENTRE_MM + r * direction)[:, 1] for r in (14.0, 16.0))
    assert ((outer - inner) / 2).mean() == pytest.approx(1.0, abs=0.02)


def test_a_fold_does_not_turn_the_sign() -> None:
    """A flap that smoothing turned inside out lies before the wall: its pseudonormals mislead."""
    shape = (60, 60, 60)
    label_map = voxelized(
        ball_in_shell_distances, shape, grid_affine(shape, (1, 1, 1), Rotation.identity(), "")
    )
    vertices, faces = shared_surface(label_map).closed_surface(2)
    flap = CENTRE_MM + [21.0, 0, 0] + 0.1 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    inside_out = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]) + len(vertices)
    folded = (np.concatenate([vertices, flap]), np.concatenate([faces, inside_out]))
    points = CENTRE_MM + np.array([[22.5, 0, 0], [23, 0.5, 0], [22, -1, 0.5]])
    by_normal = igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL
    misled, *_ = igl.signed_distance(points, *folded, by_normal)
    assert (misled < -1).all()
    none = (np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
    found = signed_distances_mm(points, [none, folded], label_map)[:, 1]
    np.testing.assert_allclose(found, -misled, rtol=1e-6)


def test_far_points_agree_with_near_ones() -> None:
    """Beyond the band the distance is that to the nearest vertex: hardly longer, same sign."""
    shape = (60, 60, 60)
    label_map = voxelized(
        ball_in_shell_distances, shape, grid_affine(shape, (1, 1, 1), Rotation.identity(), "")
    )
    centre_and_afar = np.array([CENTRE_MM, CENTRE_MM + [40, 0, 0], CENTRE_MM + [0, 0, -33]])
    found = measured(label_map, centre_and_afar)
    true = ball_in_shell_distances(centre_and_afar)
    np.testing.assert_allclose(found, true, atol=0.5)
    assert found[0, 1] < 0


def test_an_absent_structure_is_infinitely_far() -> None:
    shape = (60, 60, 60)
    label_map = voxelized(
        ball_in_shell_distances, shape, grid_affine(shape, (1, 1, 1), Rotation.identity(), "")
    )
    found = measured(label_map, CENTRE_MM[None], count=3)
    assert np.isposinf(found[:, 2]).all()
