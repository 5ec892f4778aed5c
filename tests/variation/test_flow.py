"""Flows: known motions to a stated error, their own inverse, and no fold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vecsetx.variation.flow import Lattice, flow, random_velocity, smallest_jacobian

LATTICE = Lattice(np.array([-50.0, -60.0, -40.0]), 4.0, (26, 31, 21))
INNER = np.random.default_rng(0).uniform(-20, 20, (200, 3))


def test_a_lattice_covers_the_box_with_its_margin() -> None:
    corners = np.array([[0.0, 0, 0], [10, 21, 33]])
    lattice = Lattice.around(corners, 5.0, 4.0)
    points = lattice.points_mm()
    assert points.shape == (*lattice.shape, 3)
    np.testing.assert_array_equal(points[0, 0, 0], [-5, -5, -5])
    assert (points[-1, -1, -1] >= corners[1] + 5).all()
    assert (points[-1, -1, -1] < corners[1] + 9).all()
    # Linear functions are interpolated exactly.
    np.testing.assert_allclose(lattice.at(points * 2 + 1, INNER / 20), INNER / 10 + 1, atol=1e-9)


def test_a_constant_velocity_is_a_shift() -> None:
    velocity = np.broadcast_to([7.0, -3.0, 11.0], (*LATTICE.shape, 3)).copy()
    np.testing.assert_allclose(flow(velocity, LATTICE), velocity, atol=1e-9)


def test_a_rigid_velocity_is_a_rotation() -> None:
    vector = np.array([0.2, -0.1, 0.3])
    places = LATTICE.points_mm()
    moved = INNER + LATTICE.at(flow(np.cross(vector, places), LATTICE), INNER)
    np.testing.assert_allclose(moved, Rotation.from_rotvec(vector).apply(INNER), atol=0.15)


@given(seed=st.integers(0, 10_000), size_mm=st.floats(0, 6))
def test_a_random_flow_can_be_undone_and_folds_nowhere(seed: int, size_mm: float) -> None:
    velocity = random_velocity(LATTICE, size_mm, 15.0, np.random.default_rng(seed))
    assert np.sqrt((velocity**2).mean()) == pytest.approx(size_mm)
    there, back = flow(velocity, LATTICE), flow(-velocity, LATTICE)
    moved = INNER + LATTICE.at(there, INNER)
    again = moved + LATTICE.at(back, moved)
    # Linear interpolation between points 4 mm apart is off by a share of the motion.
    assert np.abs(again - INNER).max() <= 0.25 * size_mm
    assert smallest_jacobian(there, LATTICE) > 0


def test_the_jacobian_is_that_of_a_known_motion() -> None:
    places = LATTICE.points_mm()
    stretch = np.array([[1.2, 0.1, 0], [0, 0.7, 0], [0.2, 0, 0.9]])
    displacement = places @ stretch.T - places
    assert smallest_jacobian(displacement, LATTICE) == pytest.approx(np.linalg.det(stretch))
    folded = np.zeros_like(places)
    folded[10, 15, 10, 0] = 20.0  # past its neighbour
    assert smallest_jacobian(folded, LATTICE) < 0
