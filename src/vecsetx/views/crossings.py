"""Where slices cross, and what they show there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vecsetx.views.slices import Slice

__all__ = ["Crossing", "borders_on", "crossings_of", "mismatch_mm"]

_LEAST_ANGLE_SINE = 0.5
"""Slices at smaller angles cross in a line that is poorly known."""

_HALF_LENGTH_MM, _STEP_MM = 150.0, 1.0
"""Crossings are looked at this far from their middle, at points this far apart."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Points on the line that two slices share.

    Attributes:
        slices: Numbers of the two slices.
        points_mm: The points, RAS+ mm. Shifts within the slices do not move the line.
        moves_mm: How the line moves if either slice moves along its normal by 1 mm.
    """

    slices: tuple[int, int]
    points_mm: Float[np.ndarray, "n 3"]
    moves_mm: Float[np.ndarray, "2 3"]

    @property
    def step_mm(self) -> float:
        """Distance between the points."""
        return _STEP_MM

    def shifted_mm(self, through_mm: Float[np.ndarray, "2"]) -> Float[np.ndarray, "n 3"]:
        """Return the points on the line after shifts of the slices along their normals."""
        return self.points_mm + through_mm @ self.moves_mm


def crossings_of(slices: Sequence[Slice]) -> list[Crossing]:
    """Return the crossings of all pairs of slices."""
    found = []
    for first, one in enumerate(slices):
        for second, other in enumerate(slices[:first]):
            along = np.cross(one.normal, other.normal)
            sine = np.linalg.norm(along)
            if sine < _LEAST_ANGLE_SINE:
                continue
            # The point of both planes that is nearest to the middle of the two slices' origins.
            middle = (_center_mm(one) + _center_mm(other)) / 2
            planes = np.stack([one.normal, other.normal, along / sine])
            heights = [one.normal @ one.origin_mm, other.normal @ other.origin_mm]
            start = np.linalg.solve(planes, [*heights, planes[2] @ middle])
            steps_mm = np.arange(-_HALF_LENGTH_MM, _HALF_LENGTH_MM, _STEP_MM)
            moves_mm = np.linalg.inv(planes).T[:2]
            points_mm = start + steps_mm[:, None] * planes[2]
            found.append(Crossing((first, second), points_mm, moves_mm))
    return found


def mismatch_mm(
    slices: Sequence[Slice], crossings: Sequence[Crossing], shifts: Float[np.ndarray, "s 3"]
) -> Float[np.ndarray, " c"]:
    """Return the length of each crossing on which its slices show different structures."""
    found_mm = np.zeros(len(crossings))
    for index, crossing in enumerate(crossings):
        line_mm = crossing.shifted_mm(shifts[[*crossing.slices], 2])
        both = [slices[number] for number in crossing.slices]
        known = both[0].known & both[1].known
        first, second = (
            _known(one.at(line_mm - shifts[number] @ one.axes), known)
            for one, number in zip(both, crossing.slices, strict=True)
        )
        # What only one of the views annotates says nothing, nor does what lies beyond an image.
        comparable = (first >= 0) & (second >= 0)
        found_mm[index] = crossing.step_mm * ((first != second) & comparable).sum()
    return found_mm


def borders_on(
    crossing: Crossing, slices: Sequence[Slice], number: int, shifts_mm: Float[np.ndarray, "s 3"]
) -> tuple[Float[np.ndarray, "b 3"], Int[np.ndarray, " b"]]:
    """Return where one of a crossing's slices shows borders of structures on the shared line.

    Args:
        crossing: The crossing.
        slices: All slices.
        number: The slice.
        shifts_mm: All slices' shifts.

    Returns:
        Points, RAS+ mm, and the index 0…K−1 of the structure that begins or ends at each.
    """
    one = slices[number]
    line_mm = crossing.shifted_mm(shifts_mm[[*crossing.slices], 2])
    labels = one.at(line_mm - shifts_mm[number] @ one.axes)
    middles_mm = (line_mm[1:] + line_mm[:-1]) / 2
    points, structures = [np.empty((0, 3))], [np.empty(0, dtype=np.int64)]
    within = (labels[1:] >= 0) & (labels[:-1] >= 0)
    for label in np.unique(labels[labels > 0]).tolist():
        at = within & ((labels[1:] == label) != (labels[:-1] == label))
        points.append(middles_mm[at])
        structures.append(np.full(int(at.sum()), label - 1))
    return np.concatenate(points), np.concatenate(structures)


def _known(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return labels, with −1 for structures that only one of two views annotates."""
    return np.where((labels > 0) & ~known[np.maximum(labels, 1) - 1], -1, labels)


def _center_mm(one: Slice) -> Float[np.ndarray, "3"]:
    rows, columns = np.nonzero(one.labels)
    return one.to_mm(np.array([[rows.mean(), columns.mean()]]))[0]
