"""Partial hearts: hide parts of a heart from the encoder, to train a model that completes them.

The loss always covers the whole heart. The points that the encoder receives may lack whole
structures, lie on one side of a plane (a field of view) or outside a ball (a hole), or be sparse:
few points, or the contours of a stack of slices. Or they are those that cine MRI shows: contours in
short-axis and long-axis planes. How often and how much is hidden grows from nothing over the first
part of a run.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Integer

from vecsetx.data.cine.contour_points import on_planes
from vecsetx.data.cine.planes import random_planes
from vecsetx.data.cine.ventricle import Structures, left_ventricle
from vecsetx.errors import InputError
from vecsetx.ranges import Count, Decay, Every, Millimetres, Share

__all__ = ["ObservedPoints", "PartialSpec", "PartialView"]

_OVERSAMPLING, _OF_PLANES = 3, 24
"""Candidates drawn per point that the encoder receives, so that enough remain after hiding; and so
that enough lie near planes."""

_MIN_POINTS = 64
"""A cut or stack of slices that would leave fewer points is skipped; no heart has fewer."""

_SLICE = 0.05
"""Points within this share of the slice spacing from a slice belong to its contours."""


@dataclass(frozen=True, slots=True)
class PartialSpec:
    """How often hearts are hidden in part, and how much of them; each kind is drawn independently.

    Attributes:
        hide: Share of the hearts from which whole structures are hidden.
        fewest, most: Number of structures hidden, uniform between them; at least one remains.
        cut: Share of the hearts that are cut, half of them by a plane, half of them by a ball.
        cut_most: Largest share of a heart's points that a cut removes; uniform from 0.
        sparse: Share of the hearts that are sparse: about half of them with few points, the others
            with the contours of a stack of parallel slices, which have no normals.
        slices_fewest, slices_most: Number of slices of a stack, which spans the heart.
        planes: Share of the hearts that are shown as cine MRI shows them, which excludes the kinds
            above: contours without normals in a short-axis stack and none to three of 2CH, 3CH and
            4CH (:mod:`vecsetx.data.cine`). A heart without LV, LA or RV, or whose LV the scan cuts,
            has no such planes, and is hidden in the ways above.
        shift_mm: S.d. of the shift that alignment leaves within each of these planes, along each of
            its two directions.
        unaligned, unaligned_mm: Share of the hearts with planes whose shifts are larger, and the
            s.d. of these.
        ramp: Number of hearts drawn until the shares and amounts above hold in full. They grow
            linearly up to then, from nothing.
    """

    hide: Share = 0.0
    fewest: Count = 2
    most: Count = 5
    cut: Share = 0.0
    cut_most: Decay = 0.5
    sparse: Share = 0.0
    slices_fewest: Count = 6
    slices_most: Count = 16
    planes: Share = 0.0
    shift_mm: Millimetres = 0.75
    unaligned: Share = 0.2
    unaligned_mm: Millimetres = 3.0
    ramp: Every = 2000

    def __post_init__(self) -> None:
        if self.fewest > self.most:
            raise InputError(
                f"partial.fewest {self.fewest} is more than partial.most {self.most}; lower it, or "
                "raise partial.most"
            )
        if self.slices_fewest > self.slices_most:
            raise InputError(
                f"partial.slices_fewest {self.slices_fewest} is more than partial.slices_most "
                f"{self.slices_most}; lower it, or raise partial.slices_most"
            )

    @property
    def hides(self) -> bool:
        """Whether anything is hidden at all."""
        return bool(self.hide or self.cut or self.sparse or self.planes)

    def at(self, position: int) -> "PartialView | None":
        """How the heart at a position of the training sequence is hidden; None to show it whole."""
        if not self.hides:
            return None
        return PartialView(self, min(position / self.ramp, 1.0) if self.ramp else 1.0)


@dataclass(frozen=True, slots=True)
class ObservedPoints:
    """Surface points of a heart that the encoder may receive.

    Attributes:
        points_mm: ``[N, 3]`` RAS+ mm.
        structure: ``[N]`` index of each point's structure.
        normals: ``[N, 3]`` unit normals, outward from that structure; 0 where they are withheld.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Integer[np.ndarray, " n"]
    normals: Float[np.ndarray, "n 3"]

    def first(self, count: int) -> "ObservedPoints":
        """Return the first points."""
        return ObservedPoints(self.points_mm[:count], self.structure[:count], self.normals[:count])


@dataclass(frozen=True, slots=True)
class PartialView:
    """How a heart is hidden in part.

    Attributes:
        spec: What may be hidden.
        difficulty: 0…1, multiplies how often and how much is hidden.
        in_planes: Whether only what lies in planes is shown.
    """

    spec: PartialSpec
    difficulty: float
    in_planes: bool = False

    def decided(self, generator: np.random.Generator) -> "PartialView":
        """Decide at random whether only what lies in planes is shown.

        Nothing is drawn if that never happens, so that a seed gives the view that it gave before
        there were planes.
        """
        if not self.spec.planes:
            return self
        return replace(self, in_planes=self._happens(self.spec.planes, generator))

    def candidates(self, count: int) -> int:
        """Return how many points of the whole surface are enough to choose ``count`` from."""
        return (_OF_PLANES if self.in_planes else _OVERSAMPLING) * count

    def observe(
        self,
        whole: ObservedPoints,
        count: int,
        generator: np.random.Generator,
        structures: Structures | None = None,
    ) -> ObservedPoints:
        """Draw the observed points of a heart.

        Args:
            whole: Candidates from the whole surface, in random order; at least ``count``.
            count: Number of points returned. If fewer remain, they are repeated.
            generator: Source of randomness.
            structures: What else is known of the heart's structures; needed to find planes.
        """
        if self.in_planes and structures is not None:
            if shown := self._in_planes(whole, count, generator, structures):
                return shown
            whole = whole.first(_OVERSAMPLING * count)
        spec, points_mm, normals = self.spec, whole.points_mm, whole.normals
        # The order of the steps is that of the random draws, and decides which view a seed gives.
        # 1. Hide whole structures.
        kept = np.ones(len(points_mm), dtype=bool)
        if self._happens(spec.hide, generator):
            kept = ~self._in_hidden(whole.structure, generator)
        # 2. Cut by a plane or a ball, unless too little would be left.
        if self._happens(spec.cut, generator):
            share = generator.uniform(0, spec.cut_most * self.difficulty)
            removed = (_below_plane, _within_ball)[generator.integers(2)]
            left = kept & ~removed(points_mm, kept, share, generator)
            kept = left if left.sum() >= _MIN_POINTS else kept
        # 3. Keep only a few points, or only contours in slices.
        if self._happens(spec.sparse / 2, generator):
            kept = _few(kept, generator)
        elif self._happens(spec.sparse / 2, generator):
            slices = int(generator.integers(spec.slices_fewest, spec.slices_most + 1))
            on_contours, flat_mm = _contours(points_mm, kept, slices, generator)
            if on_contours.sum() >= _MIN_POINTS:
                kept, points_mm, normals = on_contours, flat_mm, np.zeros_like(normals)
        # 4. Candidates are in random order, so the first ones will do; `resize` repeats them.
        rows = np.resize(np.flatnonzero(kept), count)
        return ObservedPoints(points_mm[rows], whole.structure[rows], normals[rows])

    def _in_planes(
        self,
        whole: ObservedPoints,
        count: int,
        generator: np.random.Generator,
        structures: Structures,
    ) -> ObservedPoints | None:
        """Show contours in random planes; None if the heart has none, or too little in them."""
        if not _is_sound(whole, len(structures.names)):
            return None  # whoever draws from the file reports it
        left = left_ventricle(whole.points_mm, whole.structure, structures)
        if left is None:
            return None
        unaligned = generator.random() < self.spec.unaligned
        shift_mm = self.spec.unaligned_mm if unaligned else self.spec.shift_mm
        planes = random_planes(left, structures.names, shift_mm, generator)
        rows, points_mm = on_planes(
            whole.points_mm, whole.normals, whole.structure, structures.areas_mm2, planes, count
        )
        if len(rows) < _MIN_POINTS:
            return None
        again = np.resize(np.arange(len(rows)), count)
        structure = whole.structure[rows[again]]
        return ObservedPoints(points_mm[again], structure, np.zeros_like(points_mm[again]))

    def _happens(self, share: float, generator: np.random.Generator) -> bool:
        return bool(generator.random() < share * self.difficulty)

    def _in_hidden(
        self, structure: Integer[np.ndarray, " n"], generator: np.random.Generator
    ) -> Bool[np.ndarray, " n"]:
        """Which points belong to random structures; at least one structure remains."""
        present = np.unique(structure)
        # The range starts at `fewest` alone, and widens with the difficulty.
        fewest = self.spec.fewest
        most = round(fewest + self.difficulty * (self.spec.most - fewest))
        count = min(int(generator.integers(fewest, most + 1)), len(present) - 1)
        return np.isin(structure, generator.permutation(present)[:count])


def _is_sound(heart: ObservedPoints, structures: int) -> bool:
    """Whether points and normals are finite, and structures exist."""
    finite = all(np.isfinite(part).all() for part in (heart.points_mm, heart.normals))
    return bool(finite and heart.structure.max() < structures)


def _below_plane(
    points: Float[np.ndarray, "n 3"],
    kept: Bool[np.ndarray, " n"],
    share: float,
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    """Points on one side of a randomly oriented plane, a given share of the kept ones."""
    height = points @ _direction(generator, points)
    return height < np.quantile(height[kept], share)


def _within_ball(
    points: Float[np.ndarray, "n 3"],
    kept: Bool[np.ndarray, " n"],
    share: float,
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    """Points in a ball about one of the kept points, a given share of these."""
    center = points[generator.choice(np.flatnonzero(kept))]
    # As with the plane, the quantile makes the removed share exact whatever the heart's shape.
    square = ((points - center) ** 2).sum(axis=1)
    return square < np.quantile(square[kept], share)


def _few(kept: Bool[np.ndarray, " n"], generator: np.random.Generator) -> Bool[np.ndarray, " n"]:
    """A few of the kept points; the logarithm of their number is uniform."""
    rows = np.flatnonzero(kept)
    count = round(_MIN_POINTS * (len(rows) / _MIN_POINTS) ** generator.random())
    few = np.zeros_like(kept)  # the first ones, because the points are in random order
    few[rows[:count]] = True
    return few


def _contours(
    points: Float[np.ndarray, "n 3"],
    kept: Bool[np.ndarray, " n"],
    slices: int,
    generator: np.random.Generator,
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Contours of the heart in a stack of randomly oriented, equally spaced slices.

    Returns:
        Which kept points lie within :data:`_SLICE` of the spacing from a slice, and all points
        projected onto the nearest slice.
    """
    direction = _direction(generator, points)
    height = points @ direction
    low, high = height[kept].min(), height[kept].max()
    spacing = max((high - low) / slices, np.finfo(points.dtype).tiny)
    # In units of the spacing and with a random phase, the slices lie at whole numbers.
    place = (height - low) / spacing - generator.random()
    off = (place - np.round(place)).astype(points.dtype)
    near = kept & (np.abs(off) < _SLICE)
    return near, points - (off * spacing)[:, None] * direction


def _direction(generator: np.random.Generator, like: np.ndarray) -> np.ndarray:
    """A random unit vector in the floating-point type of another array."""
    direction = generator.standard_normal(3)
    return (direction / np.linalg.norm(direction)).astype(like.dtype)
