"""What refinement gained, or why there was none, as a sentence."""

import statistics
from collections.abc import Collection, Mapping
from typing import Any

from vecsetx.inference.encode import REFINE_STEPS
from vecsetx.reconstruction.summary import change_text

__all__ = ["not_refined", "refinement_gain", "refinement_of"]

_RISK = "but may worsen what is inferred"

_NAMED = 3
"""Number of hearts that are named."""


def refinement_of(provenance: Mapping[str, Any]) -> str:
    """Return what refinement gained in one heart, or why it was not refined.

    Args:
        provenance: As in ``summary.json``, with ``refined``, ``refine``, ``lacks`` and ``hidden``.
    """
    if provenance["refined"]:
        return refinement_gain([provenance["refined"]])
    if provenance["refine"] == 0:
        return "Not refined (--refine 0)."
    hidden = ",".join(provenance.get("hidden", ()))
    why = f"the input {provenance['lacks']}" + (f" (--hide {hidden})" if hidden else "")
    return f"Not refined, as {why}; --refine {REFINE_STEPS} refines it all the same, {_RISK}."


def not_refined(which: str, lacks: Mapping[str, str]) -> str:
    """Return that hearts were not refined by default, why, and which option refines them.

    Args:
        which: Which hearts, such as ``2 of 5 hearts``.
        lacks: Some of these hearts → what they lack of a whole heart.
    """
    listed = [f"{name} {words}" for name, words in list(lacks.items())[:_NAMED]]
    others = [f"{len(lacks) - _NAMED} others"] if len(lacks) > _NAMED else []
    why = f" ({'; '.join([*listed, *others])})" if listed else ""
    return f"Not refined: {which}{why}; --refine {REFINE_STEPS} refines them, too, {_RISK}."


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
    change = change_text(mean("loss_after") / mean("loss_before") - 1)
    line = f"{head}: loss at points held out {change}"
    if any(found["error_mm_before"] is not None for found in refined):
        before, after = mean("error_mm_before"), mean("error_mm_after")
        line += f", mean distance to the input's surfaces {before:.2f} → {after:.2f} mm"
    return f"{line}."
