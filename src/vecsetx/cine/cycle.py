"""Numbers of a heart's cycle: when it is fullest and emptiest, and how much it ejects."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

from vecsetx.cine.frame_numbers import named_frames
from vecsetx.measures.measured import Measured, Measures, unknown

__all__ = ["Cycle", "cycle_of"]

_OF_VENTRICLE = (
    "end_diastolic_ml",
    "end_systolic_ml",
    "stroke_ml",
    "ejection_fraction_percent",
)


@dataclass(frozen=True, slots=True)
class Cycle:
    """A heart's cycle.

    Attributes:
        end_diastole: Number of the frame with the largest volume of the LV; None if it is unknown.
        end_systole: Number of that with the smallest.
        numbers: ``LV_end_diastolic_ml``, ``LV_end_systolic_ml``, ``LV_stroke_ml`` and
            ``LV_ejection_fraction_percent``, and the same of the RV.
    """

    end_diastole: int | None
    end_systole: int | None
    numbers: Measures


def cycle_of(volumes: Mapping[int, Measures], lost: Collection[int] = ()) -> Cycle:
    """Find end diastole and end systole, and what each ventricle ejects between them.

    Both are moments of the left ventricle; the right one's volumes are those in the same frames.
    If a frame that was lost may be one of them, they are unknown. A ventricle empties once per
    cycle and fills again, so only frames next to the fullest and the emptiest one may be.

    Args:
        volumes: Number of a frame → its volumes, such as ``LV_volume_ml``.
        lost: Numbers of the frames that show the heart, but whose volumes cannot be used.
    """
    left = {number: _volume(measures, "LV") for number, measures in volumes.items()}
    if doubt := _doubt(left):
        right_doubt = f"end diastole and end systole are unknown: of the LV, {doubt}"
        return _unknown(doubt, right_doubt)
    full = max(left, key=lambda number: left[number].value)
    empty = min(left, key=lambda number: left[number].value)
    if beside := _beside((full, empty), left, lost):
        was, them = ("was", "its labels") if len(beside) == 1 else ("were", "their labels")
        doubt = (
            f"end diastole or end systole may be in {named_frames(beside)}, which {was} left out; "
            f"mend {them}, or clear them to do without"
        )
        return _unknown(doubt, doubt)
    right = {number: _volume(volumes[number], "RV") for number in (full, empty)}
    numbers = _named("LV", _ejected(left[full], left[empty]))
    if doubt := _doubt(right):
        return Cycle(full, empty, numbers | _named("RV", unknown(_OF_VENTRICLE, doubt)))
    return Cycle(full, empty, numbers | _named("RV", _ejected(right[full], right[empty])))


def _unknown(left: str, right: str) -> Cycle:
    """Return a cycle without numbers, for a reason of each ventricle."""
    numbers = _named("LV", unknown(_OF_VENTRICLE, left))
    return Cycle(None, None, numbers | _named("RV", unknown(_OF_VENTRICLE, right)))


def _beside(extremes: Collection[int], kept: Collection[int], lost: Collection[int]) -> list[int]:
    """Return the lost frames with none that was kept between them and one of the extremes.

    The last frame is followed by the first, as a cycle is.
    """
    in_order, found = sorted({*kept, *lost}), set[int]()
    for extreme in extremes:
        at = in_order.index(extreme)
        after = in_order[at + 1 :] + in_order[:at]
        for way in (after, after[::-1]):
            found |= set(takewhile(lambda number: number in lost, way))
    return sorted(found)


def _volume(measures: Measures, name: str) -> Measured:
    missing = Measured(math.nan, f"there is no {name}")
    return measures.get(f"{name}_volume_ml", missing)


def _doubt(volumes: Mapping[int, Measured]) -> str:
    """Say in which frames a volume is unknown, and why; empty if all are known."""
    reasons: dict[str, list[int]] = {}
    for number, one in volumes.items():
        if not one.known:
            reasons.setdefault(one.reason, []).append(number)
    return "; ".join(f"{why} in {named_frames(numbers)}" for why, numbers in reasons.items())


def _ejected(full: Measured, empty: Measured) -> dict[str, Measured]:
    stroke_ml = full.value - empty.value
    values = (full.value, empty.value, stroke_ml, 100 * stroke_ml / full.value)
    return {name: Measured(value) for name, value in zip(_OF_VENTRICLE, values, strict=True)}


def _named(prefix: str, numbers: Measures) -> dict[str, Measured]:
    return {f"{prefix}_{name}": one for name, one in numbers.items()}
