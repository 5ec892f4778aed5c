"""Millimetres to units and back."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.frame import DOMAIN, MM_PER_UNIT, UPRIGHT, Frame
from vecsetx.errors import InputError

MM = st.floats(-2000, 2000)
TURNS = st.sampled_from(
    [
        tuple(map(tuple, turn.tolist()))
        for turn in [
            *Rotation.create_group("O").as_matrix()[1:],
            *Rotation.random(20, random_state=0).as_matrix(),
        ]
    ]
)
FRAMES = st.builds(
    Frame, st.tuples(MM, MM, MM), st.floats(1, 500), st.one_of(st.just(UPRIGHT), TURNS)
)
POINTS_MM = arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=MM)

# A scanner's coordinates stay within a few metres. There, half a unit in the last place of a
# float32 is 0.0001 mm, and a round trip rounds a few times.
FLOAT32_MM = 3e-3
FLOAT64_MM = 1e-10


def test_by_hand():
    frame = Frame((10.0, -20.0, 30.0), 50.0)
    points_mm = np.array([[10.0, -20.0, 30.0], [60.0, -20.0, 5.0]])
    assert frame.to_unit(points_mm).tolist() == [[0, 0, 0], [1, 0, -0.5]]
    assert frame.to_mm(np.array([[0.0, 2.0, 0.0]])).tolist() == [[10, 80, 30]]
    assert frame.length_to_unit(25.0) == 0.5
    assert frame.length_to_mm(0.5) == 25.0


@given(FRAMES, POINTS_MM)
def test_round_trip_in_float64(frame, points_mm):
    back = frame.to_mm(frame.to_unit(points_mm))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, points_mm, rtol=0, atol=FLOAT64_MM)


@given(FRAMES, POINTS_MM)
def test_round_trip_in_float32(frame, points_mm):
    points_mm = points_mm.astype(np.float32)
    back = frame.to_mm(frame.to_unit(points_mm))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, points_mm, rtol=0, atol=FLOAT32_MM)


@given(FRAMES, POINTS_MM)
def test_round_trip_in_torch(frame, points_mm):
    for dtype, tolerance_mm in [(torch.float32, FLOAT32_MM), (torch.float64, FLOAT64_MM)]:
        points = torch.tensor(points_mm, dtype=dtype)
        back = frame.to_mm(frame.to_unit(points))
        assert back.dtype == dtype
        torch.testing.assert_close(back, points, rtol=0, atol=tolerance_mm)


@given(FRAMES, POINTS_MM)
def test_torch_equals_numpy(frame, points_mm):
    points = torch.from_numpy(points_mm)
    # Their matrix products may round differently.
    atol = 1e-9 if frame.is_turned else 0
    np.testing.assert_allclose(frame.to_unit(points), frame.to_unit(points_mm), rtol=0, atol=atol)
    np.testing.assert_allclose(frame.to_mm(points), frame.to_mm(points_mm), rtol=0, atol=atol)


@given(FRAMES, POINTS_MM, POINTS_MM)
def test_lengths_are_distances_between_points(frame, starts_mm, ends_mm):
    step_mm = ends_mm[0] - starts_mm[0]
    step = frame.to_unit(ends_mm[0]) - frame.to_unit(starts_mm[0])
    length = frame.length_to_unit(np.linalg.norm(step_mm))
    np.testing.assert_allclose(np.linalg.norm(step), length, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        frame.length_to_mm(length), np.linalg.norm(step_mm), rtol=1e-12, atol=1e-9
    )


@pytest.mark.parametrize("kind", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_whole_numbers_do_not_round_the_center(kind):
    frame = Frame((0.5, -0.5, 0.25), 2.0)
    assert frame.to_unit(kind([[1, 1, 1]])).tolist() == [[0.25, 0.75, 0.375]]
    assert frame.to_mm(kind([[1, 1, 1]])).tolist() == [[2.5, 1.5, 2.25]]


def test_handedness_is_kept():
    corner = Frame((7.0, 8.0, 9.0), 3.0).to_unit(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    origin = Frame((7.0, 8.0, 9.0), 3.0).to_unit(np.zeros(3))
    assert np.linalg.det(corner - origin) == pytest.approx(3.0**-3)


def test_a_turned_frame_by_hand():
    # Its x axis points to A, its y axis to L.
    frame = Frame((10.0, 0.0, 0.0), 2.0, ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    assert frame.to_unit(np.array([10.0, 6.0, 0.0])).tolist() == [3, 0, 0]
    assert frame.to_mm(np.array([0.0, 4.0, 0.0])).tolist() == [2, 0, 0]
    assert frame.to_axes(np.array([0.0, 1.0, 0.0])).tolist() == [1, 0, 0]


@given(FRAMES, POINTS_MM)
def test_directions_turn_like_differences_of_points(frame, points_mm):
    start, end = np.zeros(3), points_mm[0]
    difference = frame.to_unit(end) - frame.to_unit(start)
    turned = frame.length_to_unit(frame.to_axes(end - start))
    np.testing.assert_allclose(difference, turned, rtol=0, atol=1e-9)


@given(FRAMES)
def test_the_box_around_the_domain_touches_it_on_all_sides(frame):
    corners = DOMAIN * np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T
    low, high = frame.domain_mm()
    np.testing.assert_allclose(frame.to_mm(corners).min(axis=0), low, rtol=0, atol=1e-8)
    np.testing.assert_allclose(frame.to_mm(corners).max(axis=0), high, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "rotation",
    [
        ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.01)),
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, float("nan"))),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ],
    ids=["mirror", "stretch", "nan", "zero"],
)
def test_a_frame_neither_mirrors_nor_stretches(rotation):
    with pytest.raises(InputError, match="without mirror or stretch"):
        Frame((0.0, 0.0, 0.0), 80.0, rotation)


@given(POINTS_MM, st.one_of(st.just(UPRIGHT), TURNS))
def test_around_centers_the_box_of_the_points(points_mm, rotation):
    frame = Frame.around(points_mm, rotation=rotation)
    assert frame.rotation == rotation
    assert frame.mm_per_unit == MM_PER_UNIT
    units = frame.to_unit(points_mm)
    np.testing.assert_allclose(units.max(axis=0), -units.min(axis=0), rtol=0, atol=1e-9)


def test_around_heeds_the_box_not_the_mean_and_the_scale_asked_for():
    points_mm = np.array([[0.0, 0, 0], [0, 0, 0], [0, 0, 0], [10, 20, 40]], dtype=np.float32)
    assert Frame.around(points_mm, 25.0) == Frame((5.0, 10.0, 20.0), 25.0)


def test_around_no_points():
    with pytest.raises(InputError, match="no points"):
        Frame.around(np.zeros((0, 3)))


@given(FRAMES)
def test_metadata_round_trip(frame):
    assert TypeAdapter(Frame).validate_python(frame.to_dict()) == frame


@pytest.mark.parametrize(
    ("center_mm", "mm_per_unit"),
    [
        ((0.0, 0.0, float("nan")), 80.0),
        ((float("inf"), 0.0, 0.0), 80.0),
        ((0.0, 0.0, 0.0), 0.0),
        ((0.0, 0.0, 0.0), -80.0),
        ((0.0, 0.0, 0.0), float("nan")),
        ((0.0, 0.0, 0.0), float("inf")),
    ],
)
def test_a_frame_is_finite_with_a_positive_scale(center_mm, mm_per_unit):
    with pytest.raises(InputError, match="finite numbers and a positive scale"):
        Frame(center_mm, mm_per_unit)
