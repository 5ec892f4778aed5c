"""What refinement gained, or why there was none, as a sentence."""

import statistics
from collections.abc import Collection, Mapping
from typing import Any

from vecsetx.inference.encode import REFINE_STEPS

__all__ = ["not_refined", "refinement_gain", "refinement_of"]

_DEFAULT = (
    "by default only whole hearts with all of the model's structures are, and labelled points are "
    f"not. --refine {REFINE_STEPS}"
)
_RISK = "what is inferred may become worse"


def refinement_of(provenance: Mapping[str, Any]) -> str:
    """Return what refinement gained in one heart, or why it was not refined.

    Args:
        provenance: As in ``summary.json``, with ``refined`` and ``refine``.
    """
    if provenance["refined"]:
        return refinement_gain([provenance["refined"]])
    if provenance["refine"] == 0:
        return "Not refined (--refine 0)."
    return f"Not refined: {_DEFAULT} refines this one, too; {_RISK}."


def not_refined(which: str) -> str:
    """Return that hearts were not refined by default, and which option refines them.

    Args:
        which: Which hearts, such as ``2 of 5 hearts``.
    """
    return f"Not refined: {which}; {_DEFAULT} refines them, too; {_RISK}."


def refinement_gain(refined: Collection[Mapping[str, Any]]) -> str:
    """Return what refinement gained, on average over hearts.

    Args:
        refined: For each refined heart, what a
            :class:`~vecsetx.model.heart_field.RefinementResult` holds; at least one.
    """

    def mean(key: str) -> float:
        return statistics.fmean(found[key] for found in refined if found[key] is not None)

    steps = max(found["steps"] for found in refined)
    if not steps:
        return "Refined without any gain, so that the latent set is as it was encoded."
    most = f"{steps} step{'' if steps == 1 else 's'}"
    head = (
        f"Refined in {most}" if len(refined) == 1 else f"{len(refined)} hearts refined in ≤ {most}"
    )
    change = round(100 * (mean("loss_after") / mean("loss_before") - 1))
    line = f"{head}: loss at points held out {change:+d}%"
    if any(found["error_mm_before"] is not None for found in refined):
        before, after = mean("error_mm_before"), mean("error_mm_after")
        line += f", mean distance to the input's surfaces {before:.2f} → {after:.2f} mm"
    return f"{line}."
