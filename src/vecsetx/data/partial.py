"""Showing hearts in part, so that a model learns to complete what it is not shown.

What is asked stays the whole heart. What is shown may lack whole structures, lie to one side of a
plane (a field of view) or outside a ball (a hole), or be sparse: few points, or the contours of a
stack of slices. How hard it is grows from nothing over a first part of the run.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float, Integer
from pydantic import Field, NonNegativeInt, PositiveInt

from vecsetx.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]

SPARE = 3
"""How many times the points that are shown are drawn, so that enough of them are left."""

_FEWEST_POINTS = 64
"""A cut or a stack of slices that would leave fewer is left out; no heart is shown by fewer."""

_SLICE = 0.05
"""Points within this share of the slices' distance from a slice are on its contours."""


@dataclass(frozen=True, slots=True)
class PartialSpec:
    """How often, and how much of it, a heart is hidden. Every kind is drawn by itself.

    Attributes:
        drop: Share of the hearts that are shown without some structures.
        fewest, most: How many structures these lack, evenly drawn; one is always shown.
        cut: Share that is cut, half of them by a plane, half of them by a ball.
        cut_most: Share of a heart's points that a cut takes at most, evenly drawn from 0.
        sparse: Share that is shown sparsely, about half of them by few points, the others by the
            contours of a stack of parallel slices, which have no normals.
        slices_fewest, slices_most: Slices of a stack, which spans the heart.
        ramp: Hearts drawn until hearts are hidden as often and as much as this says; before, less,
            beginning with nothing.
    """

    drop: Share = 0.0
    fewest: PositiveInt = 2
    most: PositiveInt = 5
    cut: Share = 0.0
    cut_most: Annotated[float, Field(ge=0, lt=1)] = 0.5
    sparse: Share = 0.0
    slices_fewest: PositiveInt = 6
    slices_most: PositiveInt = 16
    ramp: NonNegativeInt = 2000

    def __post_init__(self) -> None:
        if self.fewest > self.most:
            raise InputError(f"partial.fewest {self.fewest} is more than partial.most {self.most}")
        if self.slices_fewest > self.slices_most:
            raise InputError(
                f"partial.slices_fewest {self.slices_fewest} is more than partial.slices_most "
                f"{self.slices_most}"
            )

    def at(self, place: int) -> "Hiding | None":
        """What is hidden of the heart at this place of the sequence; None if nothing ever is."""
        if not (self.drop or self.cut or self.sparse):
            return None
        return Hiding(self, min(place / self.ramp, 1.0) if self.ramp else 1.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """Surface points that are shown of a heart.

    Attributes:
        points_mm: ``[N, 3]`` RAS+ mm.
        structure: ``[N]`` index of each point's structure.
        normals: ``[N, 3]`` unit, out of that structure; 0 where they are not shown.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Integer[np.ndarray, " n"]
    normals: Float[np.ndarray, "n 3"]


@dataclass(frozen=True, slots=True)
class Hiding:
    """How a heart is hidden in part.

    Attributes:
        spec: What may be hidden.
        difficulty: 0…1: how often, and how much of it.
    """

    spec: PartialSpec
    difficulty: float

    def show(self, whole: Shown, count: int, generator: np.random.Generator) -> Shown:
        """Draw what is shown of a heart.

        Args:
            whole: More of its surface points than are shown, in random order.
            count: Points to show. If fewer are left, they are shown again and again.
            generator: Source of the draw.
        """
        spec, shown, points_mm, normals = self.spec, _all(whole), whole.points_mm, whole.normals
        if self._happens(spec.drop, generator):
            shown = ~self._dropped(whole.structure, generator)
        if self._happens(spec.cut, generator):
            share = generator.uniform(0, spec.cut_most * self.difficulty)
            lost = (_below_plane, _within_ball)[generator.integers(2)]
            left = shown & ~lost(points_mm, shown, share, generator)
            shown = left if left.sum() >= _FEWEST_POINTS else shown
        if self._happens(spec.sparse / 2, generator):
            shown = _few(shown, generator)
        elif self._happens(spec.sparse / 2, generator):
            slices = int(generator.integers(spec.slices_fewest, spec.slices_most + 1))
            near, flat_mm = _on_slices(points_mm, shown, slices, generator)
            if near.sum() >= _FEWEST_POINTS:
                shown, points_mm, normals = near, flat_mm, np.zeros_like(normals)
        rows = np.resize(np.flatnonzero(shown), count)
        return Shown(points_mm[rows], whole.structure[rows], normals[rows])

    def _happens(self, share: float, generator: np.random.Generator) -> bool:
        return bool(generator.random() < share * self.difficulty)

    def _dropped(
        self, structure: Integer[np.ndarray, " n"], generator: np.random.Generator
    ) -> Bool[np.ndarray, " n"]:
        """Points of some structures at random, but not of all."""
        present = np.unique(structure)
        fewest = self.spec.fewest
        most = round(fewest + self.difficulty * (self.spec.most - fewest))
        count = min(int(generator.integers(fewest, most + 1)), len(present) - 1)
        return np.isin(structure, generator.permutation(present)[:count])


def _all(whole: Shown) -> Bool[np.ndarray, " n"]:
    return np.ones(len(whole.points_mm), dtype=bool)


def _below_plane(
    points: Float[np.ndarray, "n 3"],
    shown: Bool[np.ndarray, " n"],
    share: float,
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    """A share of the points shown, to one side of a plane of random direction."""
    height = points @ _direction(generator, points)
    return height < np.quantile(height[shown], share)


def _within_ball(
    points: Float[np.ndarray, "n 3"],
    shown: Bool[np.ndarray, " n"],
    share: float,
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    """A share of the points shown, the nearest to one of them."""
    middle = points[generator.choice(np.flatnonzero(shown))]
    square = ((points - middle) ** 2).sum(axis=1)
    return square < np.quantile(square[shown], share)


def _few(shown: Bool[np.ndarray, " n"], generator: np.random.Generator) -> Bool[np.ndarray, " n"]:
    """A few of the points, evenly in the logarithm of their number."""
    rows = np.flatnonzero(shown)
    count = round(_FEWEST_POINTS * (len(rows) / _FEWEST_POINTS) ** generator.random())
    few = np.zeros_like(shown)
    few[rows[:count]] = True
    return few


def _on_slices(
    points: Float[np.ndarray, "n 3"],
    shown: Bool[np.ndarray, " n"],
    slices: int,
    generator: np.random.Generator,
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """The points near parallel planes, and all points moved onto the nearest plane.

    Near is within :data:`_SLICE` of the planes' distance.
    """
    direction = _direction(generator, points)
    height = points @ direction
    low, high = height[shown].min(), height[shown].max()
    step = max((high - low) / slices, np.finfo(points.dtype).tiny)
    place = (height - low) / step - generator.random()
    off = (place - np.round(place)).astype(points.dtype)
    near = shown & (np.abs(off) < _SLICE)
    return near, points - (off * step)[:, None] * direction


def _direction(generator: np.random.Generator, like: np.ndarray) -> np.ndarray:
    direction = generator.standard_normal(3)
    return (direction / np.linalg.norm(direction)).astype(like.dtype)
