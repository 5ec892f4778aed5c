"""Whether what a model was shown is a heart as it knows hearts."""

from collections.abc import Mapping
from typing import Any

from vecsetx.anatomy.structures import structure

__all__ = ["POOR_DICE", "misfit", "too_large"]

POOR_DICE = 0.85
"""The built-in model reconstructs what it is shown of unseen hearts with a mean Dice of at least
0.93 (``docs/model.md``)."""


def misfit(agreement: Mapping[str, Mapping[str, Any]], observed: Mapping[str, bool]) -> str | None:
    """Return a remark if the built-in model reconstructs badly what it was shown; else None.

    Args:
        agreement: Structure → how its voxels compare with those in the input, as of
            :attr:`vecsetx.evaluation.reconstructed_heart.ReconstructedHeart.agreement`. Empty if
            they were not compared: then nothing is known.
        observed: Structure → whether the model was shown it.
    """
    scores = [found["dice"] for name, found in agreement.items() if observed[name]]
    if not scores or (mean := sum(scores) / len(scores)) >= POOR_DICE:
        return None
    return (
        f"the model reconstructs badly what it was shown (mean Dice {int(100 * mean) / 100}, below "
        f"{POOR_DICE:g}), so this is no heart, or none as the model knows hearts: do not use these "
        "results"
    )


def too_large(agreement: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return a remark if a structure in the input is larger than that of any heart; else None.

    A single organ under the name of a structure is reconstructed well, and so noticed only here.

    Args:
        agreement: As for :func:`misfit`.
    """
    large = [
        f"the {name} holds {found['input_ml']:.0f} ml, and that of no heart over {most:.0f} ml"
        for name, found in agreement.items()
        if found["input_ml"] > (most := structure(name).most_ml)
    ]
    if not large:
        return None
    return (
        f"{'; '.join(large)}: this is another organ, or its label ids mean something else "
        "(--labels): do not use these results"
    )
