"""Where slices cross: a start for the shifts, which needs no model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vecsetx.views.slices import Slice

__all__ = [
    "Crossing",
    "borders_on",
    "crossings_of",
    "mismatch_mm",
    "settled",
    "shifts_by_crossings",
]

_LEAST_ANGLE_SINE = 0.5
"""Slices at smaller angles cross in a line that is poorly known."""

_HALF_LENGTH_MM, _STEP_MM = 150.0, 1.0
"""Crossings are looked at this far from their middle, at points this far apart."""

_PRIOR = 0.02
"""Cost of shifts, per mm²: in mm of labels that differ."""

_CLOSE, _NEAR_MM, _SWEEPS = 0.3, 3.0, 3
"""Cost of leaving given shifts, per mm², how far that is tried, and how often."""

_SEARCHES_MM = ((8.0, 2.0), (8.0, 2.0), (3.0, 1.0), (1.0, 0.5), (1.0, 0.5))
"""Each sweep looks this far around the present shifts, in steps of this length."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Points on the line that two slices share.

    Attributes:
        slices: Numbers of the two slices.
        points_mm: The points, RAS+ mm. Shifts within the slices do not move the line.
    """

    slices: tuple[int, int]
    points_mm: Float[np.ndarray, "n 3"]


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
            found.append(Crossing((first, second), start + steps_mm[:, None] * planes[2]))
    return found


def shifts_by_crossings(
    slices: Sequence[Slice],
    crossings: Sequence[Crossing],
    holds: Int[np.ndarray, " s"],
    most_mm: float,
) -> Float[np.ndarray, "s 2"]:
    """Return the shift of each slice along its two directions that makes labels agree.

    Where slices cross, both show the same line. Each breath-hold in turn takes the shift with the
    fewest differences, from coarse to fine.

    Args:
        slices: The slices.
        crossings: Where they cross.
        holds: Number of each slice's breath-hold. Slices of one hold shift alike, so they are
            parallel.
        most_mm: Bound of shifts along each direction.
    """
    shifts = np.zeros((len(slices), 2))
    of_hold = [np.flatnonzero(holds == hold).tolist() for hold in range(int(holds.max()) + 1)]
    of_slice: list[list[Crossing]] = [[] for _ in slices]
    for crossing in crossings:
        for number in crossing.slices:
            of_slice[number].append(crossing)
    for reach_mm, step_mm in _SEARCHES_MM:
        steps = np.arange(-reach_mm, reach_mm + step_mm / 2, step_mm)
        around = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        for members in of_hold:
            tried = np.clip(shifts[members[0]] + around, -most_mm, most_mm)
            costs = _PRIOR * len(members) * (tried**2).sum(axis=1)
            for number in members:
                for crossing in of_slice[number]:
                    costs += _costs(slices, crossing, number, tried, shifts)
            shifts[members] = tried[costs.argmin()]
    return shifts


def settled(
    slices: Sequence[Slice],
    crossings: Sequence[Crossing],
    holds: Int[np.ndarray, " s"],
    shifts_mm: Float[np.ndarray, "s 2"],
    most_mm: float,
) -> Float[np.ndarray, "s 2"]:
    """Return shifts close to others at which labels agree where slices cross.

    Args:
        slices: The slices.
        crossings: Where they cross.
        holds: Number of each slice's breath-hold.
        shifts_mm: The shifts to stay close to.
        most_mm: Bound of shifts along each direction.
    """
    steps = np.arange(-_NEAR_MM, _NEAR_MM + 0.25, 0.5)
    around = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    found = shifts_mm.copy()
    for _ in range(_SWEEPS):
        for hold in np.unique(holds):
            members = np.flatnonzero(holds == hold)
            tried = np.clip(shifts_mm[members[0]] + around, -most_mm, most_mm)
            costs = _CLOSE * len(members) * (around**2).sum(axis=1)
            for crossing in crossings:
                for number in {*members.tolist()} & {*crossing.slices}:
                    costs += _costs(slices, crossing, number, tried, found)
            found[members] = tried[costs.argmin()]
    return found


def mismatch_mm(
    slices: Sequence[Slice], crossings: Sequence[Crossing], shifts: Float[np.ndarray, "s 2"]
) -> Float[np.ndarray, " c"]:
    """Return the length of each crossing on which its slices show different structures."""
    return np.array(
        [
            _costs(slices, crossing, crossing.slices[0], shifts[[crossing.slices[0]]], shifts)[0]
            for crossing in crossings
        ]
    )


def borders_on(
    crossing: Crossing, one: Slice, shift_mm: Float[np.ndarray, "2"]
) -> tuple[Float[np.ndarray, "b 3"], Int[np.ndarray, " b"]]:
    """Return where one of a crossing's slices shows borders of structures on the shared line.

    Args:
        crossing: The crossing.
        one: One of its slices.
        shift_mm: The slice's shift.

    Returns:
        Points, RAS+ mm, and the index 0…K−1 of the structure that begins or ends at each.
    """
    labels = one.at(crossing.points_mm - shift_mm @ one.directions)
    middles_mm = (crossing.points_mm[1:] + crossing.points_mm[:-1]) / 2
    points, structures = [np.empty((0, 3))], [np.empty(0, dtype=np.int64)]
    within = (labels[1:] >= 0) & (labels[:-1] >= 0)
    for label in np.unique(labels[labels > 0]).tolist():
        at = within & ((labels[1:] == label) != (labels[:-1] == label))
        points.append(middles_mm[at])
        structures.append(np.full(int(at.sum()), label - 1))
    return np.concatenate(points), np.concatenate(structures)


def _costs(
    slices: Sequence[Slice],
    crossing: Crossing,
    moved: int,
    tried: Float[np.ndarray, "m 2"],
    shifts: Float[np.ndarray, "s 2"],
) -> Float[np.ndarray, " m"]:
    """Return the length of the differences for each shift of one of a crossing's slices."""
    first, second = crossing.slices
    still = second if moved == first else first
    one, other = slices[moved], slices[still]
    known = one.known & other.known
    expected = _known(other.at(crossing.points_mm - shifts[still] @ other.directions), known)
    points_mm = crossing.points_mm[None] - (tried @ one.directions)[:, None]
    shown = _known(one.at(points_mm.reshape(-1, 3)), known).reshape(len(tried), -1)
    # What only one of the views annotates says nothing, nor does what lies beyond an image.
    comparable = (shown >= 0) & (expected >= 0)
    return _STEP_MM * ((shown != expected) & comparable).sum(axis=1)


def _known(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return labels, with −1 for structures that only one of two views annotates."""
    return np.where((labels > 0) & ~known[np.maximum(labels, 1) - 1], -1, labels)


def _center_mm(one: Slice) -> Float[np.ndarray, "3"]:
    rows, columns = np.nonzero(one.labels)
    return one.to_mm(np.array([[rows.mean(), columns.mean()]]))[0]
