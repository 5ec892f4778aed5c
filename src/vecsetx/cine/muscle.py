"""Whether the muscle keeps its volume over the cycle, as that of a beating heart does."""

import statistics
from collections.abc import Mapping

from vecsetx.measures.measured import Measures

__all__ = ["uneven_muscle"]

_MOST_TIMES = 1.1
"""How many times larger or smaller the muscle of a frame is at most than the median of the others.
Of beating phantoms, it differs by 1 or 2%."""


def uneven_muscle(volumes: Mapping[int, Measures]) -> str:
    """Say in which frames the left ventricle's muscle has another volume than in the others.

    A label that is missing in part of a frame, or a frame of another patient, may show so.

    Args:
        volumes: Number of a frame → its volumes, with ``Myocardium_volume_ml``.

    Returns:
        A sentence; empty if no frame differs by much, or too few volumes are known.
    """
    known = {
        number: one["Myocardium_volume_ml"].value
        for number, one in volumes.items()
        if "Myocardium_volume_ml" in one and one["Myocardium_volume_ml"].known
    }
    differing = []
    for number, ml in known.items():
        others = [other for k, other in known.items() if k != number]
        usual = statistics.median(others) if others else ml
        if max(ml, usual) > _MOST_TIMES * min(ml, usual):
            differing.append(f"frame {number} ({ml:.0f} ml against {usual:.0f} ml)")
    if not differing:
        return ""
    return (
        "a beating heart keeps its muscle, and here the myocardium's volume differs by more than "
        f"{100 * (_MOST_TIMES - 1):.0f}% from the median of the other frames: "
        f"{', '.join(differing)}; look at their labels, as ejection fractions may be wrong"
    )
