"""Frames in which the muscle has another volume than in the others."""

import math

import pytest

from vecsetx.cine.muscle import uneven_muscle
from vecsetx.measures.measured import Measured


def said(*muscle_ml: float) -> str:
    """NaN is unknown."""
    return uneven_muscle(
        {
            number: {"Myocardium_volume_ml": Measured(ml, "cut" if math.isnan(ml) else "")}
            for number, ml in enumerate(muscle_ml, start=1)
        }
    )


@pytest.mark.parametrize(
    ("muscle_ml", "differing"),
    [
        ((83.0, 84.0, 92.5), "other frames: frame 3 (92 ml against 84 ml);"),
        ((83.0, 101.0), "frame 1 (83 ml against 101 ml), frame 2 (101 ml against 83 ml);"),
        ((100.0, 102.0, 90.0, 101.0), "other frames: frame 3 (90 ml against 101 ml);"),
        ((math.nan, 100.0, 120.0), "frame 2 (100 ml against 120 ml), frame 3 ("),
    ],
)
def test_frames_that_differ_are_named_with_both_volumes(
    muscle_ml: tuple[float, ...], differing: str
) -> None:
    assert differing in said(*muscle_ml)


def test_a_heart_that_keeps_its_muscle_gets_no_remark() -> None:
    assert said(100.0, 109.9) == said(100.0) == said(math.nan, 100.0) == said() == ""
    assert uneven_muscle({1: {"LV_volume_ml": Measured(9.0)}, 2: {}}) == ""
