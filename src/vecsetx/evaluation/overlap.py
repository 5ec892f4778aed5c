"""Dice and IoU of structures on a voxel grid.

The rules for what is not there:

- truth and prediction both lack the structure: nothing to score, None;
- the truth has it and the prediction lacks it: 0, a structure that was missed is never dropped;
- the prediction has it and the truth lacks it: 0, invented.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer

from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far two label maps agree on one structure; 1 is perfect, None where neither has it.

    Attributes:
        dice: 2·|T ∩ P| / (|T| + |P|) (Dice 1945).
        iou: |T ∩ P| / (|T| + |P| − |T ∩ P|) (Jaccard 1912).
    """

    dice: float | None
    iou: float | None


def overlaps(
    truth: Integer[np.ndarray, "..."], prediction: Integer[np.ndarray, "..."], count: int
) -> list[Overlap]:
    """Dice and IoU of every structure.

    Args:
        truth: Labels 1…``count``, 0 for background.
        prediction: The same, on the same grid.
        count: How many structures there are.

    Returns:
        One overlap per structure, in the order of the labels.

    Raises:
        InputError: The shapes differ, or a label is none of 0…``count``.
    """
    if truth.shape != prediction.shape:
        raise InputError(
            f"truth and prediction must lie on one grid, not {truth.shape} and {prediction.shape}"
        )
    in_truth = _voxels(truth[truth != 0], count, "truth")
    in_prediction = _voxels(prediction[prediction != 0], count, "prediction")
    in_both = _voxels(truth[(truth == prediction) & (truth != 0)], count, "truth")
    return [
        _overlap(both, t, p) for both, t, p in zip(in_both, in_truth, in_prediction, strict=True)
    ]


def _overlap(in_both: int, in_truth: int, in_prediction: int) -> Overlap:
    if in_truth + in_prediction == 0:
        return Overlap(None, None)
    return Overlap(
        dice=2 * in_both / (in_truth + in_prediction),
        iou=in_both / (in_truth + in_prediction - in_both),
    )


def _voxels(labels: np.ndarray, count: int, source: str) -> list[int]:
    """How many voxels bear each of the labels 1…``count``."""
    if labels.size and not 1 <= labels.min() <= labels.max() <= count:
        raise InputError(
            f"{source}: labels run from {labels.min()} to {labels.max()}, but there are {count} "
            "structures; number the label map by its structures first"
        )
    voxels: list[int] = np.bincount(labels, minlength=count + 1)[1:].tolist()
    return voxels
