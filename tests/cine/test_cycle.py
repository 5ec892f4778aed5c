"""Numbers of a cycle, in closed form, and when they are unknown."""

import math
from itertools import combinations

import numpy as np
import pytest

from vecsetx.cine.cycle import cycle_of
from vecsetx.cine.frame_numbers import named_frames
from vecsetx.measures.measured import Measured


def frames(**volumes: list[float]) -> dict[int, dict[str, Measured]]:
    """Frames numbered 2, 4, 6 …; NaN is unknown."""
    count = len(next(iter(volumes.values())))
    return {
        2 * (k + 1): {
            f"{name}_volume_ml": Measured(ml[k], "cut" if math.isnan(ml[k]) else "")
            for name, ml in volumes.items()
        }
        for k in range(count)
    }


def values(volumes: dict[int, dict[str, Measured]], chamber: str) -> list[float]:
    numbers = cycle_of(volumes).numbers
    return [one.value for name, one in numbers.items() if name.startswith(chamber)]


def test_both_ventricles_are_measured_when_the_left_one_is_fullest_and_emptiest() -> None:
    volumes = frames(LV=[100.0, 120.0, 48.0, 90.0], RV=[150.0, 140.0, 70.0, 60.0])
    cycle = cycle_of(volumes)
    assert (cycle.end_diastole, cycle.end_systole) == (4, 6)
    np.testing.assert_allclose(values(volumes, "LV"), [120, 48, 72, 60])
    np.testing.assert_allclose(values(volumes, "RV"), [140, 70, 70, 50])


@pytest.mark.parametrize(
    ("lv", "rv", "reasons"),
    [
        ([100.0, math.nan, 50.0], [9.0, 8.0, 7.0], ("cut in frame 4", "of the LV, cut in frame 4")),
        ([math.nan] * 3, [9.0, 8.0, 7.0], ("cut in frames 2, 4, 6", "of the LV, cut in frames 2")),
        ([100.0, 70.0, 50.0], [9.0, math.nan, 7.0], ("", "")),  # at neither moment
        ([100.0, 70.0, 50.0], [9.0, 8.0, math.nan], ("", "cut in frame 6")),
    ],
)
def test_what_is_unknown_says_why(
    lv: list[float], rv: list[float], reasons: tuple[str, str]
) -> None:
    cycle = cycle_of(frames(LV=lv, RV=rv))
    for chamber, reason in zip(("LV", "RV"), reasons, strict=True):
        own = [one for name, one in cycle.numbers.items() if name.startswith(chamber)]
        assert len(own) == 4
        for one in own:
            assert one.known == (reason == "")
            assert reason in one.reason
    assert (cycle.end_diastole is None) == (reasons[0] != "")


def test_a_ventricle_that_is_nowhere_is_unknown() -> None:
    reason = cycle_of(frames(LV=[100.0, 50.0])).numbers["RV_stroke_ml"].reason
    assert reason == "there is no RV in frames 2, 4"


@pytest.mark.parametrize("rotated", range(7))
def test_lost_frames_leave_the_true_numbers_or_none(rotated: int) -> None:
    """Of a cycle that falls and rises once, whichever frames are lost."""
    whole = frames(LV=list(np.roll([120.0, 110, 80, 50, 60, 90, 115], rotated)))
    truth, known = cycle_of(whole), 0
    for count in range(1, len(whole) - 1):
        for lost in combinations(whole, count):
            rest = {number: one for number, one in whole.items() if number not in lost}
            found = cycle_of(rest, lost)
            fraction = found.numbers["LV_ejection_fraction_percent"]
            if fraction.known:
                known += 1
                assert (found.end_diastole, found.end_systole) == (
                    truth.end_diastole,
                    truth.end_systole,
                )
                assert fraction == truth.numbers["LV_ejection_fraction_percent"]
            else:
                assert found.end_diastole is found.end_systole is None
                assert "which w" in fraction.reason
                assert found.numbers["RV_stroke_ml"].reason == fraction.reason
    assert known == 1  # only the frame of 90 ml lies beside neither the fullest nor the emptiest


def test_a_lost_frame_between_others_that_are_kept_changes_nothing() -> None:
    volumes = frames(LV=[120.0, 110.0, 100.0, 80.0, 60.0, 50.0, 60.0, 80.0, 110.0])
    middle = {number: one for number, one in volumes.items() if number != 8}
    assert cycle_of(middle, [8]) == cycle_of(volumes)
    last = {number: one for number, one in volumes.items() if number not in (16, 18)}
    reason = cycle_of(last, [16, 18]).numbers["LV_stroke_ml"].reason
    assert reason == (
        "end diastole or end systole may be in frames 16, 18, which were left out; mend their "
        "labels, or clear them to do without"
    )


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ([3], "frame 3"),
        ([4, 2], "frames 2, 4"),
        ([2, 3], "frames 2, 3"),
        ([9, 2, 3, 4, 6, 7], "frames 2-4, 6, 7, 9"),
    ],
)
def test_frames_in_a_row_are_named_by_the_first_and_the_last(
    numbers: list[int], named: str
) -> None:
    assert named_frames(numbers) == named
