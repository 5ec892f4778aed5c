"""Where slices cross, against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.affines import QUATERNIONS

from vecsetx.views.crossings import borders_on, crossings_of, mismatch_mm
from vecsetx.views.slices import Slice

RADIUS_MM = 40.0
POINTS_MM = st.tuples(*[st.floats(-60, 60)] * 3)


def plane(turn: np.ndarray, through_mm: np.ndarray, labels: np.ndarray | None = None) -> Slice:
    """An image of 121 × 121 pixels of 1 mm about a point; by default, it shows structure 0."""
    labels = np.ones((121, 121), np.uint8) if labels is None else labels
    known = np.array([True, (labels == 2).any()])
    origin_mm = through_mm - 60 * turn[:2].sum(axis=0)
    return Slice("a 1", 0, 1, labels, known, origin_mm, turn[:2])


def of_ball(turn: np.ndarray, through_mm: np.ndarray, lies_mm: tuple = (0, 0, 0)) -> Slice:
    """The plane through a ball that lies somewhere else than at the origin."""
    one = plane(turn, np.asarray(through_mm, float))
    pixels = np.stack(np.meshgrid(*[np.arange(121.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    inside = np.linalg.norm(one.to_mm(pixels) - np.array(lies_mm), axis=1) < RADIUS_MM
    return replace(one, labels=inside.reshape(121, 121).astype(np.uint8))


XY, XZ = np.eye(3), np.eye(3)[[0, 2, 1]]


@given(QUATERNIONS, QUATERNIONS, POINTS_MM, POINTS_MM)
def test_points_of_a_crossing_lie_on_both_planes(one, other, at_mm, other_mm) -> None:
    first, second = (
        plane(Rotation.from_quat(turn).as_matrix(), np.array(point))
        for turn, point in ((one, at_mm), (other, other_mm))
    )
    found = crossings_of([first, second])
    sine = np.linalg.norm(np.cross(first.normal, second.normal))
    if abs(sine - 0.5) > 1e-9:
        assert len(found) == (sine > 0.5)
    for crossing in found:
        assert crossing.slices == (1, 0)
        for each in (first, second):
            off_mm = (crossing.points_mm - each.origin_mm) @ each.normal
            np.testing.assert_allclose(off_mm, 0, atol=1e-6)
        steps_mm = np.linalg.norm(np.diff(crossing.points_mm, axis=0), axis=1)
        np.testing.assert_allclose(steps_mm, 1, atol=1e-6)


@pytest.mark.parametrize("height_mm", [0.0, 10.5, -24.0, 35.2])
def test_borders_are_the_ends_of_a_ball_s_chord(height_mm: float) -> None:
    slices = [of_ball(XY, np.array([0, 0, height_mm])), of_ball(XZ, np.array([0.0, 5.0, 0.0]))]
    (crossing,) = crossings_of(slices)
    half_mm = np.sqrt(RADIUS_MM**2 - height_mm**2 - 25)
    for number in (0, 1):
        points_mm, structure = borders_on(crossing, slices[number], np.zeros(2))
        assert (structure == 0).all()
        expected = [[-half_mm, 5, height_mm], [half_mm, 5, height_mm]]
        np.testing.assert_allclose(points_mm[points_mm[:, 0].argsort()], expected, atol=1.1)
    # As seen by a slice that is shifted along the line.
    moved, _ = borders_on(crossing, slices[0], np.array([7.0, 0.0]))
    still, _ = borders_on(crossing, slices[0], np.zeros(2))
    np.testing.assert_allclose(moved, still + [7, 0, 0], atol=1e-9)


@pytest.mark.parametrize("shift_mm", [0.0, 3.0, -8.0])
def test_mismatch_is_twice_the_shift_along_the_line_and_shifts_undo_it(shift_mm: float) -> None:
    slices = [of_ball(XY, (0, 0, 0)), of_ball(XZ, (0, 0, 0), (shift_mm, 0, 0))]
    crossings = crossings_of(slices)
    before = mismatch_mm(slices, crossings, np.zeros((2, 2)))
    np.testing.assert_allclose(before, [2 * abs(shift_mm)], atol=1.1)
    undone = np.array([[0.0, 0.0], [-shift_mm, 0.0]])
    assert mismatch_mm(slices, crossings, undone) <= [2]  # a pixel at either end


def test_what_one_view_does_not_annotate_or_show_says_nothing() -> None:
    two = np.full((121, 121), 2, np.uint8)
    background = np.zeros((121, 121), np.uint8)
    background[0, 0] = 1
    shows_two, empty = plane(XZ, np.zeros(3), two), plane(XY, np.zeros(3), background)
    crossings = crossings_of([empty, shows_two])
    assert mismatch_mm([empty, shows_two], crossings, np.zeros((2, 2))) == [0]
    knows = replace(empty, known=np.array([True, True]))
    # It differs all along the image, and not beyond it.
    assert mismatch_mm([knows, shows_two], crossings, np.zeros((2, 2))) == [121]
