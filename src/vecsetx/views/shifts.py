"""Shifts between breath-holds, estimated together with the heart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.progress import counted_parts
from vecsetx.views.agreement import Agreement, relative_cost
from vecsetx.views.contours import contours_of
from vecsetx.views.crossings import mismatch_mm
from vecsetx.views.slices import Contours, Slice

__all__ = ["MOST_MM", "Alignment", "Distances", "ShiftKind", "align", "holds_of"]

MOST_MM = 10.0
"""Bound of shifts along each direction."""

_ROUNDS = 4

_GROUPS = 3
"""A heart that is reconstructed from a shifted slice fits this slice: so each third of them moves
towards a heart that has not seen it."""

_ROBUST_MM = 2.0
"""Distance from the heart from which contour points count less (Cauchy's weights)."""

_PRIOR = 0.02
"""Weight of shifts against distances, per contour point."""

_CORRUPT_MM, _CORRUPT = 4.0, 3.0
"""A slice does not belong to the heart if its contours are on average farther from it than the
first, and than the median of slices by the second factor."""

_CORRUPT_STRUCTURE_MM = 7.0
"""The same for the structure of a slice that is farthest from the heart: 5.1 mm at most in stacks
of 2 hearts of kcl that are not shifted back, 9.6 mm where a slice is mirrored and its LV still
fits."""

_LEAST_SHOWN = 3
"""Other slices that show a structure for its place in the heart to be known without this slice."""

ShiftKind = Literal["slice", "view", "none"]
"""What shifts as one: each slice, all slices of a view, or nothing."""

Distances = Callable[[Contours], Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n k"]]]
"""Reconstructs a heart from contours; what it returns gives signed distances, mm."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Slices, brought to where they agree.

    Attributes:
        slices: The slices.
        contours: Their contours as they lie in the files.
        shifts_mm: Shift of each slice along its two directions, and through its plane.
        residuals_mm: Mean distance of each slice's contours from the heart, after the shifts.
        most_mm: Bound of shifts along each of these axes.
        kept: Which slices belong to the heart.
        mismatch_mm: Mean length of a crossing of kept slices on which labels differ, before and
            after; NaN where none cross.
        worst_mm: As ``residuals_mm``, of the structure of each slice that is farthest; only those
            that at least three other slices show count, and it is 0 without any.
    """

    slices: Sequence[Slice]
    contours: Contours
    shifts_mm: Float[np.ndarray, "s 3"]
    residuals_mm: Float[np.ndarray, " s"]
    most_mm: Float[np.ndarray, "3"]
    kept: Bool[np.ndarray, " s"]
    mismatch_mm: tuple[float, float]
    worst_mm: Float[np.ndarray, " s"]

    @property
    def moves_mm(self) -> Float[np.ndarray, "s 3"]:
        """Shift of each slice in space, RAS+ mm."""
        return _moves_mm(self.slices, self.shifts_mm)

    def shifted(self) -> Contours:
        """Return the contours of the slices that belong to the heart, at their places."""
        return _of_slices(_shifted(self.slices, self.contours, self.shifts_mm), self.kept)


def holds_of(slices: Sequence[Slice], shifts: ShiftKind) -> Int[np.ndarray, " s"] | None:
    """Return the number of each slice's breath-hold; None if nothing shifts.

    Args:
        slices: The slices; those of a view are parallel.
        shifts: What shifts as one.
    """
    if shifts == "none":
        return None
    if shifts == "slice":
        return np.arange(len(slices))
    return np.unique([one.view for one in slices], return_inverse=True)[1]


def align(
    slices: Sequence[Slice],
    holds: Int[np.ndarray, " s"] | None,
    reconstructed: Distances,
    through_mm: float = 0.0,
) -> Alignment:
    """Estimate the shift of each breath-hold.

    It starts where slices cross (:meth:`~Agreement.start`). Then groups of breath-holds take
    turns: a heart is reconstructed from the contours of the others, and each breath-hold of the
    group moves so that its contours come closer to that heart (Gauss and Newton's steps on signed
    distances, with robust weights and a prior that prefers small shifts). After each round, labels
    have to agree again where slices cross (:meth:`~Agreement.settled`). All breath-holds together
    could shift alike, which the prior alone keeps small.

    Args:
        slices: The slices of all views.
        holds: Number of each slice's breath-hold, from 0; None if nothing shifts.
        reconstructed: How hearts are reconstructed.
        through_mm: Bound of shifts through the planes.
    """
    most_mm = np.array([MOST_MM, MOST_MM, through_mm])
    contours, agreement = contours_of(slices), Agreement.of(slices)
    shifts_mm = np.zeros((len(slices), 3))
    if holds is not None:
        shifts_mm = agreement.start(holds, most_mm)
        for _ in counted_parts(range(_ROUNDS), "aligning slices"):
            shifts_mm = _round(slices, contours, holds, reconstructed, shifts_mm, most_mm)
            shifts_mm = agreement.settled(holds, shifts_mm, most_mm)
    residuals_mm, worst_mm = _residuals_mm(slices, contours, reconstructed, shifts_mm)
    kept = _fits(residuals_mm, _CORRUPT_MM) & _fits(worst_mm, _CORRUPT_STRUCTURE_MM)
    crossings = [one for one in agreement.crossings if kept[[*one.slices]].all()]
    before, after = (
        float(mismatch_mm(slices, crossings, each).mean()) if crossings else np.nan
        for each in (np.zeros_like(shifts_mm), shifts_mm)
    )
    found = (shifts_mm, residuals_mm, most_mm, kept, (before, after), worst_mm)
    return Alignment(slices, contours, *found)


def _fits(off_mm: Float[np.ndarray, " s"], least_mm: float) -> Bool[np.ndarray, " s"]:
    """Return which slices are not much farther from the heart than most."""
    return off_mm <= max(least_mm, _CORRUPT * float(np.median(off_mm)))


def _round(
    slices: Sequence[Slice],
    contours: Contours,
    holds: Int[np.ndarray, " s"],
    reconstructed: Distances,
    shifts_mm: Float[np.ndarray, "s 3"],
    most_mm: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "s 3"]:
    """Move each group of breath-holds towards the heart that the other groups show."""
    for group in range(_GROUPS):
        moving = holds % _GROUPS == group
        if not moving.any() or moving.all():
            continue
        here = _shifted(slices, contours, shifts_mm)
        distances = reconstructed(_of_slices(here, ~moving))
        own = _of_slices(here, moving)
        shifts_mm = _moved(slices, own, distances, holds, shifts_mm, most_mm)
    return shifts_mm


def _residuals_mm(
    slices: Sequence[Slice],
    contours: Contours,
    reconstructed: Distances,
    shifts_mm: Float[np.ndarray, "s 3"],
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
    """Return each slice's mean distance from the heart that the other groups of slices show.

    Of all its contours, and of the structure whose contours are farthest, among those that the
    other groups show often enough; 0 without any.
    """
    here = _shifted(slices, contours, shifts_mm)
    shape = (len(slices), len(slices[0].known))
    sums_mm, counts = np.zeros(shape), np.zeros(shape)
    for group in range(_GROUPS):
        own = np.arange(len(slices)) % _GROUPS == group
        if not own.any() or own.all():
            continue
        distances, points = reconstructed(_of_slices(here, ~own)), _of_slices(here, own)
        off_mm = np.abs(_own_distances(distances, points.points_mm, points.structure))
        np.add.at(sums_mm, (points.slice, points.structure), off_mm)
        np.add.at(counts, (points.slice, points.structure), 1)
    means_mm = sums_mm.sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    groups = np.arange(len(slices)) % _GROUPS
    shown = np.stack([(counts[groups != group] > 0).sum(axis=0) for group in range(_GROUPS)])
    known = shown[groups] >= _LEAST_SHOWN
    return means_mm, (known * sums_mm / np.maximum(counts, 1)).max(axis=1)


def _moved(
    slices: Sequence[Slice],
    here: Contours,
    distances: Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n k"]],
    holds: Int[np.ndarray, " s"],
    shifts_mm: Float[np.ndarray, "s 3"],
    most_mm: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "s 3"]:
    """Return the shifts after a step of Gauss and Newton for each breath-hold that is here."""
    own_mm = _own_distances(distances, here.points_mm, here.structure)
    free = np.flatnonzero(most_mm > 0)
    axes = np.stack([one.axes for one in slices])[here.slice]
    slopes = np.stack(
        [
            _own_distances(distances, here.points_mm + axes[:, axis], here.structure)
            - _own_distances(distances, here.points_mm - axes[:, axis], here.structure)
            for axis in free
        ],
        axis=1,
    )
    slopes /= 2  # steps of 1 mm to either side
    weights = 1 / (1 + (own_mm / _ROBUST_MM) ** 2)
    cost, moved = _PRIOR * relative_cost(most_mm)[free], shifts_mm.copy()
    for hold in np.unique(holds[here.slice]):
        members = np.flatnonzero(holds == hold)
        points = np.isin(here.slice, members)
        slope, weight, present_mm = slopes[points], weights[points], shifts_mm[members[0], free]
        prior = cost * max(float(weight.sum()), 1.0)
        matrix = (slope * weight[:, None]).T @ slope + np.diag(prior)
        right = -(slope * weight[:, None]).T @ own_mm[points] - prior * present_mm
        found_mm = present_mm + np.linalg.solve(matrix, right)
        moved[np.ix_(members, free)] = np.clip(found_mm, -most_mm[free], most_mm[free])
    return moved


def _of_slices(contours: Contours, chosen: Bool[np.ndarray, " s"]) -> Contours:
    """Return the contours of some slices."""
    own = chosen[contours.slice]
    return Contours(*(part[own] for part in contours))


def _shifted(
    slices: Sequence[Slice], contours: Contours, shifts_mm: Float[np.ndarray, "s 3"]
) -> Contours:
    moves_mm = _moves_mm(slices, shifts_mm)
    return contours._replace(points_mm=contours.points_mm + moves_mm[contours.slice])


def _moves_mm(
    slices: Sequence[Slice], shifts_mm: Float[np.ndarray, "s 3"]
) -> Float[np.ndarray, "s 3"]:
    return np.stack([shift @ one.axes for one, shift in zip(slices, shifts_mm, strict=True)])


def _own_distances(
    distances: Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n k"]],
    points_mm: Float[np.ndarray, "n 3"],
    structure: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    return distances(points_mm)[np.arange(len(points_mm)), structure].astype(np.float64)
