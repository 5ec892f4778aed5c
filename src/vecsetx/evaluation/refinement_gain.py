"""What refinement gained, as a sentence."""

import statistics
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["refinement_gain"]


def refinement_gain(refined: Collection[Mapping[str, Any]]) -> str:
    """Return what refinement gained, on average over hearts.

    Args:
        refined: For each refined heart, what a
            :class:`~vecsetx.model.heart_field.RefinementResult` holds; at least one.
    """

    def mean(key: str) -> float:
        return statistics.fmean(found[key] for found in refined if found[key] is not None)

    change = round(100 * (mean("loss_after") / mean("loss_before") - 1))
    steps = max(found["steps"] for found in refined)
    most = f"{steps} step{'' if steps == 1 else 's'}"
    head = (
        f"Refined in {most}" if len(refined) == 1 else f"{len(refined)} hearts refined in ≤ {most}"
    )
    line = f"{head}: loss at points held out {change:+d}%"
    if any(found["error_mm_before"] is not None for found in refined):
        before, after = mean("error_mm_before"), mean("error_mm_after")
        line += f", mean distance to the input's surfaces {before:.2f} → {after:.2f} mm"
    return f"{line}."
