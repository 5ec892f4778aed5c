"""Frames of muscle."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vecsetx.fibres.frames import between, frames, turned

COUNT = 200


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(4)


def test_frames_are_right_handed_and_keep_the_direction_across(
    generator: np.random.Generator,
) -> None:
    along, across = generator.normal(size=(2, COUNT, 3)) * 5
    x, y, z = np.moveaxis(frames(along, across).as_matrix(), 2, 0)
    assert z == pytest.approx(across / np.linalg.norm(across, axis=1, keepdims=True))
    assert np.cross(x, y) == pytest.approx(z)
    assert ((along * y).sum(axis=1) > 0).all()
    assert (along * x).sum(axis=1) == pytest.approx(0, abs=1e-12)


def test_around_is_counterclockwise_seen_from_the_base() -> None:
    """On the x-side of a heart with its base up, it points along y."""
    frame = frames(np.array([[0.0, 0, 2]]), np.array([[3.0, 0, 0]]))
    assert frame.as_matrix()[0][:, 0] == pytest.approx([0, 1, 0])
    fibre = turned(frame, np.array([60.0]), np.array([0.0])).as_matrix()[0][:, 0]
    assert fibre == pytest.approx([0, 0.5, np.sqrt(0.75)])


@pytest.mark.parametrize("along", [[0.0, 0, 0], [0, 0, 4]])
def test_without_a_direction_along_any_perpendicular_one_serves(along: list[float]) -> None:
    across = np.array([[0.0, 0, 1], [0, 0, 1]])
    found = frames(np.array([along, [1.0, 0, 0]]), across).as_matrix()
    assert found @ np.moveaxis(found, 1, 2) == pytest.approx(np.tile(np.eye(3), (2, 1, 1)))
    assert found[:, :, 2] == pytest.approx(across)


def test_turns_are_those_of_bayer_s_matrices(generator: np.random.Generator) -> None:
    fibre, sheet = generator.uniform(-90, 90, size=(2, COUNT))
    frame = Rotation.random(COUNT, rng=generator)
    a, b = np.radians(fibre), np.radians(sheet)
    zero, one = np.zeros(COUNT), np.ones(COUNT)
    first = np.array(
        [[np.cos(a), -np.sin(a), zero], [np.sin(a), np.cos(a), zero], [zero, zero, one]]
    )
    second = np.array(
        [[one, zero, zero], [zero, np.cos(b), np.sin(b)], [zero, -np.sin(b), np.cos(b)]]
    )
    expected = frame.as_matrix() @ np.moveaxis(first, 2, 0) @ np.moveaxis(second, 2, 0)
    assert turned(frame, fibre, sheet).as_matrix() == pytest.approx(expected)


def test_between_ignores_signs_of_axes(generator: np.random.Generator) -> None:
    one = Rotation.random(COUNT, rng=generator)
    other = one * Rotation.from_rotvec(generator.uniform(-0.5, 0.5, size=(COUNT, 3)))
    half = between(one, other, np.full(COUNT, 0.5))
    assert (one.inv() * half).magnitude() == pytest.approx((half.inv() * other).magnitude())
    assert between(one, other, np.zeros(COUNT)).approx_equal(one).all()
    assert between(one, other, np.ones(COUNT)).approx_equal(other).all()
    for axis in np.eye(3):
        turned_over = other * Rotation.from_rotvec(np.pi * axis)
        assert between(one, turned_over, np.full(COUNT, 0.5)).approx_equal(half, atol=1e-9).all()
