"""Chambers that fill: the wall keeps its volume, and the motion can be undone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.variation.chambers import Filling

AXES = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
CENTER, SIZES = np.array([12.0, -40.0, 7.0]), np.array([22.0, 25.0, 45.0])


def ball(count: int) -> np.ndarray:
    points = np.random.default_rng(2).uniform(-1, 1, (3 * count, 3))
    return points[(points**2).sum(axis=1) < 1][:count]


INSIDE = CENTER + ball(50_000) * SIZES @ AXES


def radius(points: np.ndarray) -> np.ndarray:
    """1 on the ellipsoid."""
    return np.linalg.norm((points - CENTER) @ AXES.T / SIZES, axis=-1)


@given(growth=st.floats(-0.5, 0.5))
def test_it_is_undone(growth: float) -> None:
    filling = Filling(INSIDE, growth)
    points = np.random.default_rng(3).uniform(-90, 90, (500, 3))
    np.testing.assert_allclose(filling.undone(filling.moved(points)), points, atol=1e-9)
    np.testing.assert_allclose(filling.moved(filling.undone(points)), points, atol=1e-9)


@pytest.mark.parametrize("growth", [-0.3, 0.2])
def test_the_chamber_changes_as_said_and_the_wall_keeps_its_volume(growth: float) -> None:
    filling = Filling(INSIDE, growth)
    directions = np.random.default_rng(4).standard_normal((2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    inner, outer = (
        radius(filling.moved(CENTER + r * directions * SIZES @ AXES)) for r in (1.0, 1.5)
    )
    # The points are those of the ellipsoid up to sampling noise, here 1%.
    np.testing.assert_allclose(inner, np.exp(growth), rtol=0.01)
    shell = outer**3 - inner**3
    np.testing.assert_allclose(shell, 1.5**3 - 1, rtol=0.02)
    assert np.abs(radius(filling.moved(CENTER + 20 * directions * SIZES @ AXES)) - 20).max() < 0.01


def test_no_volume_changes_outside() -> None:
    filling = Filling(INSIDE, -0.3)
    points = CENTER + np.array([[40.0, 0, 0], [0, 60, 0], [-30, 20, 50], [0, 0, -80]])
    step = 1e-3
    columns = [
        (filling.moved(points + step * e) - filling.moved(points - step * e)) / (2 * step)
        for e in np.eye(3)
    ]
    np.testing.assert_allclose(np.linalg.det(np.stack(columns, axis=-1)), 1, atol=1e-6)
