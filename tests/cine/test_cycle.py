"""Numbers of a cycle, in closed form, and when they are unknown."""

import math

import numpy as np
import pytest

from vecsetx.cine.cycle import cycle_of
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
