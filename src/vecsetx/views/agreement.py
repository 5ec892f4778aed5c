"""Shifts with which slices agree where they cross; this needs no model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from vecsetx.views.crossings import Crossing, crossings_of
from vecsetx.views.slices import Slice

__all__ = ["Agreement", "relative_cost"]

_BLUR_MM = 3.0
"""Standard deviation by which labels are blurred: the cost of a shift is then smooth, and its least
value is known far better than to a pixel."""

_EVERY = 2
"""Of a crossing's points, every second one is compared."""

_PRIOR = 0.02
"""Cost of shifts, per mm²."""

_CLOSE, _NEAR_MM, _SWEEPS = 0.3, 3.0, 3
"""Cost of leaving given shifts, per mm², how far that is tried, and how often."""

_SEARCHES_MM = (
    *((8.0, 2.0), (8.0, 2.0), (3.0, 1.0), (1.0, 0.5), (1.0, 0.5)),
    *((3.0, 1.0), (1.0, 0.5), (0.5, 0.25), (0.5, 0.25)),
)
"""Each sweep looks this far around the present shifts, in steps of this length."""

_WITHIN, _THROUGH = slice(0, 2), slice(2, 3)
"""The axes of shifts within slices, and through them."""


def relative_cost(most_mm: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Return the cost of shifts per mm² along each axis, so that all cost the same at their bound.

    It is 1 for the largest bound, and 0 along axes without shifts.

    Args:
        most_mm: Bound of shifts along each axis.
    """
    ratio = most_mm.max() / np.where(most_mm > 0, most_mm, np.inf)
    return ratio**2


@dataclass(frozen=True, slots=True)
class Agreement:
    """Slices, and how well they agree where they cross.

    Attributes:
        slices: The slices.
        crossings: Where they cross.
        shares: Of each slice, how much each of the K structures shows at each pixel, 0…1: its
            labels, blurred.
        to_pixels: Of each slice, the matrix from mm to pixels.
    """

    slices: Sequence[Slice]
    crossings: Sequence[Crossing]
    shares: Sequence[Float32[np.ndarray, "k _ _"]]
    to_pixels: Sequence[Float[np.ndarray, "3 2"]]

    @classmethod
    def of(cls, slices: Sequence[Slice]) -> "Agreement":
        """Find where slices cross, and blur their labels."""
        to_pixels = [np.linalg.pinv(one.steps_mm) for one in slices]
        return cls(slices, crossings_of(slices), list(map(_shares, slices)), to_pixels)

    def start(
        self, holds: Int[np.ndarray, " s"], most_mm: Float[np.ndarray, "3"]
    ) -> Float[np.ndarray, "s 3"]:
        """Return the shift of each slice along its axes with which all agree best.

        Each breath-hold in turn takes the best shift, from coarse to fine.

        Args:
            holds: Number of each slice's breath-hold. Slices of one hold shift alike, so they are
                parallel.
            most_mm: Bound of shifts along each axis.
        """
        shifts_mm = np.zeros((len(self.slices), 3))
        for reach_mm, step_mm in _SEARCHES_MM:
            for members in _members(holds):
                for axes, offsets_mm in _grids(np.minimum(reach_mm, most_mm), step_mm):
                    tried = _tried(shifts_mm[members[0]], axes, offsets_mm, most_mm)
                    costs = _PRIOR * len(members) * (tried**2 @ relative_cost(most_mm))
                    costs += self._costs(members, tried, shifts_mm)
                    shifts_mm[members] = tried[costs.argmin()]
        return shifts_mm

    def settled(
        self,
        holds: Int[np.ndarray, " s"],
        shifts_mm: Float[np.ndarray, "s 3"],
        most_mm: Float[np.ndarray, "3"],
    ) -> Float[np.ndarray, "s 3"]:
        """Return shifts close to others with which slices agree.

        Args:
            holds: Number of each slice's breath-hold.
            shifts_mm: The shifts to stay close to.
            most_mm: Bound of shifts along each axis.
        """
        found_mm, grids = shifts_mm.copy(), [*_grids(np.minimum(_NEAR_MM, most_mm / 3), 0.5)]
        for _ in range(_SWEEPS):
            for members in _members(holds):
                center_mm = shifts_mm[members[0]]
                for axes, offsets_mm in grids:
                    tried = np.repeat(found_mm[members[:1]], len(offsets_mm), axis=0)
                    tried[:, axes] = _tried(center_mm, axes, offsets_mm, most_mm)[:, axes]
                    left_mm = tried - center_mm
                    costs = _CLOSE * len(members) * (left_mm**2 @ relative_cost(most_mm))
                    costs += self._costs(members, tried, found_mm)
                    found_mm[members] = tried[costs.argmin()]
        return found_mm

    def _costs(
        self,
        members: Int[np.ndarray, " h"],
        tried: Float[np.ndarray, "m 3"],
        shifts_mm: Float[np.ndarray, "s 3"],
    ) -> Float[np.ndarray, " m"]:
        """Return how much one breath-hold's slices differ from all others, for each shift."""
        costs, moved = np.zeros(len(tried)), {*members.tolist()}
        for crossing in self.crossings:
            for number in moved & {*crossing.slices}:
                costs += self._differences(crossing, number, tried, shifts_mm)
        return costs

    def _differences(
        self,
        crossing: Crossing,
        moved: int,
        tried: Float[np.ndarray, "m 3"],
        shifts_mm: Float[np.ndarray, "s 3"],
    ) -> Float[np.ndarray, " m"]:
        """Return the squared differences along a crossing, in mm, for each shift of one slice.

        Only structures that both views annotate count; all else is as if it were background, as it
        is in the view that does not annotate it.
        """
        (still,) = {*crossing.slices} - {moved}
        known = np.flatnonzero(self.slices[moved].known & self.slices[still].known)
        costs = np.empty(len(tried))
        for through_mm in np.unique(tried[:, 2]):  # each moves the line
            own = tried[:, 2] == through_mm
            both_mm = {moved: through_mm, still: shifts_mm[still, 2]}
            line_mm = crossing.shifted_mm(np.array([both_mm[each] for each in crossing.slices]))
            line_mm = line_mm[::_EVERY]
            expected, there = self._at(still, known, line_mm, shifts_mm[[still]])
            shown, here = self._at(moved, known, line_mm, tried[own])
            # What lies beyond an image says nothing.
            squares = ((shown - expected) ** 2).sum(axis=0) * (here & there)
            costs[own] = _EVERY * crossing.step_mm * squares.sum(axis=1)
        return costs

    def _at(
        self,
        number: int,
        known: Int[np.ndarray, " j"],
        points_mm: Float[np.ndarray, "n 3"],
        shifts_mm: Float[np.ndarray, "m 3"],
    ) -> tuple[Float32[np.ndarray, "j m n"], np.ndarray]:
        """Return what a slice shows at points, for each of some shifts, and where it shows any."""
        from scipy import ndimage

        one, shares = self.slices[number], self.shares[number][known]
        moved_mm = points_mm[None] - (shifts_mm @ one.axes)[:, None]
        pixels = (moved_mm - one.origin_mm) @ self.to_pixels[number]
        inside = ((pixels >= 0) & (pixels <= np.array(one.labels.shape) - 1)).all(axis=-1)
        places = np.moveaxis(pixels, -1, 0)
        found = [ndimage.map_coordinates(share, places, order=1) for share in shares]
        return np.array(found, np.float32).reshape(len(known), *inside.shape), inside


def _shares(one: Slice) -> Float32[np.ndarray, "k h w"]:
    from scipy import ndimage

    blur = _BLUR_MM / np.linalg.norm(one.steps_mm, axis=1)
    shown = [(one.labels == label).astype(np.float32) for label in range(1, len(one.known) + 1)]
    return np.stack([ndimage.gaussian_filter(share, blur, mode="nearest") for share in shown])


def _members(holds: Int[np.ndarray, " s"]) -> list[Int[np.ndarray, " h"]]:
    """Return the slices of each breath-hold."""
    return [np.flatnonzero(holds == hold) for hold in np.unique(holds)]


def _grids(
    reach_mm: Float[np.ndarray, "3"], step_mm: float
) -> Iterator[tuple[slice, Float[np.ndarray, "m a"]]]:
    """Yield the offsets to try: within slices, and then through them if they may move so."""
    counts = np.floor(reach_mm / step_mm + 1e-6)
    steps = [step_mm * np.arange(-count, count + 1) for count in counts]
    yield _WITHIN, np.stack(np.meshgrid(*steps[_WITHIN], indexing="ij"), axis=-1).reshape(-1, 2)
    if len(steps[2]) > 1:
        yield _THROUGH, steps[2][:, None]


def _tried(
    around_mm: Float[np.ndarray, "3"],
    axes: slice,
    offsets_mm: Float[np.ndarray, "m a"],
    most_mm: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "m 3"]:
    """Return shifts that differ from one along some axes."""
    tried = np.repeat(around_mm[None], len(offsets_mm), axis=0)
    tried[:, axes] += offsets_mm
    return np.clip(tried, -most_mm, most_mm)
