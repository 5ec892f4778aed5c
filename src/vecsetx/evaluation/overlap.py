"""Overlap of truth and prediction on a voxel grid: Dice and IoU."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Integer

from vecsetx.errors import InputError

__all__ = ["Overlap", "State", "overlaps"]

State = Literal["found", "missed", "invented", "absent", "not annotated"]
"""Where a structure exists: in truth and prediction, in the truth only, in the prediction only, in
neither; or the truth does not annotate it."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Voxel counts of one structure in two label maps on the same grid.

    Attributes:
        truth: Number of voxels in the truth.
        prediction: Number of voxels in the prediction.
        common: Number of voxels in both.
    """

    truth: int
    prediction: int
    common: int

    @property
    def state(self) -> State:
        """Where the structure exists."""
        if self.truth:
            return "found" if self.prediction else "missed"
        return "invented" if self.prediction else "absent"

    @property
    def dice(self) -> float | None:
        """2·|T ∩ P| / (|T| + |P|) (Dice 1945); None where neither has the structure."""
        both = self.truth + self.prediction
        return 2 * self.common / both if both else None

    @property
    def iou(self) -> float | None:
        """|T ∩ P| / (|T| + |P| − |T ∩ P|) (Jaccard 1912); None where neither has the structure."""
        union = self.truth + self.prediction - self.common
        return self.common / union if union else None


def overlaps(
    truth: Integer[np.ndarray, "..."], prediction: Integer[np.ndarray, "..."], count: int
) -> list[Overlap]:
    """Count the voxels of every structure.

    Args:
        truth: Labels 1…``count``, 0 for background.
        prediction: The same, on the same grid.
        count: Number of structures.

    Returns:
        One overlap per structure, in the order of the labels.

    Raises:
        InputError: The shapes differ, or a label is none of 0…``count``.
    """
    if truth.shape != prediction.shape:
        raise InputError(
            "truth and prediction must have the same grid, not shapes "
            f"{truth.shape} and {prediction.shape}; resample the prediction"
        )
    in_truth = _voxels(truth[truth != 0], count, "truth")
    in_prediction = _voxels(prediction[prediction != 0], count, "prediction")
    in_both = _voxels(truth[(truth == prediction) & (truth != 0)], count, "truth")
    return [Overlap(*voxels) for voxels in zip(in_truth, in_prediction, in_both, strict=True)]


def _voxels(labels: np.ndarray, count: int, source: str) -> list[int]:
    """Count the voxels of each label 1…``count``."""
    if labels.size and not 1 <= labels.min() <= labels.max() <= count:
        raise InputError(
            f"{source}: labels run from {labels.min()} to {labels.max()}, but there are {count} "
            "structures; renumber the label map first"
        )
    voxels: list[int] = np.bincount(labels, minlength=count + 1)[1:].tolist()
    return voxels
