"""Whether what a model was shown is a heart as it knows hearts."""

from collections.abc import Mapping
from typing import Any

from vecsetx.anatomy.size import SMALL_STRUCTURES

__all__ = ["POOR_DICE", "misfit"]

POOR_DICE = 0.85
"""The built-in model reconstructs chambers and great vessels that it is shown of unseen hearts with
a mean Dice of at least 0.9 (``docs/model.md``)."""


def misfit(agreement: Mapping[str, Mapping[str, Any]], observed: Mapping[str, bool]) -> str | None:
    """Return a remark if the built-in model reconstructs badly what it was shown; else None.

    Structures that are small in any heart do not count: a Dice of thin vessels says little.

    Args:
        agreement: Structure → how its voxels compare with those in the input, as of
            :attr:`vecsetx.evaluation.reconstructed_heart.ReconstructedHeart.agreement`. Empty if
            they were not compared: then nothing is known.
        observed: Structure → whether the model was shown it.
    """
    scores = [
        found["dice"]
        for name, found in agreement.items()
        if observed[name] and name not in SMALL_STRUCTURES
    ]
    if not scores or (mean := sum(scores) / len(scores)) >= POOR_DICE:
        return None
    return (
        f"the model reconstructs badly what it was shown (mean Dice {int(100 * mean) / 100} of "
        f"chambers and great vessels, below {POOR_DICE:g}), so this is no heart, or none as the "
        "model knows hearts: do not use these results"
    )
