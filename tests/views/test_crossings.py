"""Where slices cross, against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.affines import QUATERNIONS
from support.ball_slices import RADIUS_MM, XY, XZ, of_ball, plane

from vecsetx.views.crossings import borders_on, crossings_of, mismatch_mm

POINTS_MM = st.tuples(*[st.floats(-60, 60)] * 3)


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


@given(QUATERNIONS, QUATERNIONS, st.tuples(*[st.floats(-10, 10)] * 2))
def test_a_crossing_of_slices_moved_through_their_planes_lies_on_both(one, other, through) -> None:
    slices = [plane(Rotation.from_quat(turn).as_matrix(), np.zeros(3)) for turn in (one, other)]
    for crossing in crossings_of(slices):
        points_mm = crossing.shifted_mm(np.array(through))
        along_mm = np.diff(crossing.points_mm, axis=0)
        np.testing.assert_allclose(np.diff(points_mm, axis=0), along_mm, atol=1e-6)
        for number, moved_mm in zip(crossing.slices, through, strict=True):
            off_mm = (points_mm - slices[number].origin_mm) @ slices[number].normal
            np.testing.assert_allclose(off_mm, moved_mm, atol=1e-6)


@pytest.mark.parametrize("height_mm", [0.0, 10.5, -24.0, 35.2])
def test_borders_are_the_ends_of_a_ball_s_chord(height_mm: float) -> None:
    slices = [of_ball(XY, np.array([0, 0, height_mm])), of_ball(XZ, np.array([0.0, 5.0, 0.0]))]
    (crossing,) = crossings_of(slices)
    half_mm = np.sqrt(RADIUS_MM**2 - height_mm**2 - 25)
    for number in (0, 1):
        points_mm, structure = borders_on(crossing, slices, number, np.zeros((2, 3)))
        assert (structure == 0).all()
        expected = [[-half_mm, 5, height_mm], [half_mm, 5, height_mm]]
        np.testing.assert_allclose(points_mm[points_mm[:, 0].argsort()], expected, atol=1.1)
    # As seen by a slice that is shifted along the line.
    moved, _ = borders_on(crossing, slices, 0, np.array([[7.0, 0, 0], [0, 0, 0]]))
    still, _ = borders_on(crossing, slices, 0, np.zeros((2, 3)))
    np.testing.assert_allclose(moved, still + [7, 0, 0], atol=1e-9)


@pytest.mark.parametrize("shift_mm", [0.0, 3.0, -8.0])
def test_mismatch_is_twice_the_shift_along_the_line_and_shifts_undo_it(shift_mm: float) -> None:
    slices = [of_ball(XY, (0, 0, 0)), of_ball(XZ, (0, 0, 0), (shift_mm, 0, 0))]
    crossings = crossings_of(slices)
    before = mismatch_mm(slices, crossings, np.zeros((2, 3)))
    np.testing.assert_allclose(before, [2 * abs(shift_mm)], atol=1.1)
    undone = np.array([[0.0, 0, 0], [-shift_mm, 0, 0]])
    assert mismatch_mm(slices, crossings, undone) <= [2]  # a pixel at either end


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("through_mm", [6.0, -9.0])
def test_a_slice_moved_through_its_plane_shows_the_ball_where_it_lies(
    number: int, through_mm: float
) -> None:
    at_mm, lies_mm = ((0, 0, 20.0), (0, 0, 0)), np.zeros((2, 3))
    lies_mm[number] = -through_mm * of_ball((XY, XZ)[number], at_mm[number]).normal
    slices = [of_ball((XY, XZ)[n], at_mm[n], tuple(lies_mm[n])) for n in range(2)]
    crossings, shifts = crossings_of(slices), np.zeros((2, 3))
    # Half of the chord that each shows, from its distance to the ball's centre.
    squares = [(20 + through_mm) ** 2, 400] if number == 0 else [400, 400 + through_mm**2]
    halves_mm = np.sqrt(RADIUS_MM**2 - np.array(squares))
    found = mismatch_mm(slices, crossings, shifts)
    np.testing.assert_allclose(found, [2 * abs(np.diff(halves_mm)[0])], atol=2.1)
    # Where it belongs, both show the same, on the ball.
    shifts[number, 2] = through_mm
    assert mismatch_mm(slices, crossings, shifts) <= [2]
    for each in range(2):
        ends_mm, _ = borders_on(crossings[0], slices, each, shifts)
        np.testing.assert_allclose(np.linalg.norm(ends_mm, axis=1), RADIUS_MM, atol=1.1)


def test_what_one_view_does_not_annotate_or_show_says_nothing() -> None:
    two = np.full((121, 121), 2, np.uint8)
    background = np.zeros((121, 121), np.uint8)
    background[0, 0] = 1
    shows_two, empty = plane(XZ, np.zeros(3), two), plane(XY, np.zeros(3), background)
    crossings = crossings_of([empty, shows_two])
    assert mismatch_mm([empty, shows_two], crossings, np.zeros((2, 3))) == [0]
    knows = replace(empty, known=np.array([True, True]))
    # It differs all along the image, and not beyond it.
    assert mismatch_mm([knows, shows_two], crossings, np.zeros((2, 3))) == [121]
