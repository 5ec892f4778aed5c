"""Smooth implicit shapes: signed values in mm with their gradients.

A shape maps each point to a value that is negative inside and whose gradient has length 1 at most.
The magnitude of the value is therefore a lower bound of the distance to the surface (a *bound*).
Where stated, it equals the distance. Smooth unions and intersections keep the bound, but near the
seam the value is less than the distance; :mod:`vecsetx.anatomy.phantom.footpoint` computes the
distance there.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

_POINTS_AT_ONCE = 4096  # keeps the working arrays in the processor's cache
_FEW_VALUES = 1 << 14  # of points at all segments of a tube: finding the near ones takes longer
_NEWTON_STEPS = 10  # with 7, distances at planes of symmetry were off by up to 0.6 mm
_SPLINE_STEP_MM = 3.0
_END_ROUNDING_MM = 1.0


@dataclass(frozen=True, eq=False)
class Stretch:
    """An affine map with a fixed point.

    Attributes:
        matrix: The linear part ``[3, 3]``, not singular.
        fixed_mm: The fixed point, ``[3]``.
    """

    matrix: np.ndarray
    fixed_mm: np.ndarray

    def map_points(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Return the images of points, mm."""
        return np.asarray((points_mm - self.fixed_mm) @ self.matrix.T + self.fixed_mm)

    def map_normal(self, normal: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
        """Return the unit normal of the image of a plane with the given normal."""
        # Normals transform with the inverse transpose.
        turned = np.linalg.solve(self.matrix.T, normal)
        return np.asarray(turned / np.linalg.norm(turned))


@runtime_checkable
class Shape(Protocol):
    """A solid given by a signed function and its gradient."""

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """Return values in mm, negative inside, and gradients of length 1 at most."""
        ...

    def stretched(self, stretch: Stretch) -> "Shape":
        """Return the shape under an affine map of positions.

        Tubes keep their round cross-section, offsets and blends their width.
        """
        ...


@dataclass(frozen=True, eq=False)
class HalfSpace:
    """All points behind a plane. The value is the exact signed distance.

    Attributes:
        point_mm: A point on the plane, ``[3]``.
        normal: Unit vector out of the half-space, ``[3]``.
    """

    point_mm: np.ndarray
    normal: np.ndarray

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        gradient = np.broadcast_to(self.normal, points_mm.shape)
        return (points_mm - self.point_mm) @ self.normal, gradient

    def stretched(self, stretch: Stretch) -> "HalfSpace":
        """See :class:`Shape`."""
        return HalfSpace(stretch.map_points(self.point_mm), stretch.map_normal(self.normal))


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """A solid ellipsoid. The value is the exact signed distance.

    The foot point of y is a²y/(t + a²), where t is the largest root of Σ(a y/(t + a²))² = 1
    (Eberly, "Distance from a point to an ellipse, an ellipsoid, or a hyperellipsoid"). Newton's
    method on the reciprocal of the sum's square root finds t; it converges monotonically from a
    start left of the root (Moré & Sorensen, "Computing a trust region step", 1983).

    Attributes:
        center_mm: Centre, ``[3]``.
        radii_mm: Semi-axes, ``[3]``.
        axes: Directions of the semi-axes as orthonormal columns, ``[3, 3]``.
    """

    center_mm: np.ndarray
    radii_mm: np.ndarray
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        # 1. In the ellipsoid's axes and, by symmetry, in the octant of positive coordinates.
        local = ((points_mm - self.center_mm) @ self.axes).T
        radii = self.radii_mm[:, None]
        square = radii**2
        # A coordinate of exactly 0 could put the start on a pole of the sum.
        scaled = radii * np.maximum(np.abs(local), 1e-9)
        # 2. Find t. The start makes one term of the sum 1 and is therefore left of the root.
        root = (scaled - square).max(axis=0)
        for _ in range(_NEWTON_STEPS):
            term = scaled / (root + square)
            total = (term * term).sum(axis=0)
            slope = (term * term / (root + square)).sum(axis=0)
            root = root + total * (np.sqrt(total) - 1.0) / slope
        # 3. The normal at the foot point; the distance is t times its length, negative inside.
        normal = np.copysign(scaled / radii, local) / (root + square)
        length = np.sqrt((normal * normal).sum(axis=0))
        return root * length, (normal / length).T @ self.axes.T

    def stretched(self, stretch: Stretch) -> "Ellipsoid":
        """See :class:`Shape`."""
        # The image of the unit ball: singular vectors are the new axes, singular values the radii.
        axes, radii_mm, _ = np.linalg.svd(stretch.matrix @ (self.axes * self.radii_mm))
        return Ellipsoid(stretch.map_points(self.center_mm), radii_mm, axes)


@dataclass(frozen=True, eq=False)
class Tube:
    """The union of all balls centred on a polyline, with linearly interpolated radii.

    The value at x is the minimum of |x − c| − r over the balls, with centre c and radius r. It is
    the exact distance outside; inside, it is exact for a straight tube and a bound near bends and
    ends.

    Attributes:
        points_mm: The centreline, ``[m, 3]``, m ≥ 2.
        radii_mm: Radius at each of its points, ``[m]``. Along a segment it changes by less than
            the segment's length.
    """

    points_mm: np.ndarray
    radii_mm: np.ndarray

    @cached_property
    def _segments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        step = np.diff(self.points_mm, axis=0)
        length = np.linalg.norm(step, axis=1)
        return step / length[:, None], length, np.diff(self.radii_mm) / length

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        if len(points_mm) == 0:
            return np.empty(0), np.empty((0, 3))
        near = self._segments_near(points_mm)
        direction, length, slope = (part[near] for part in self._segments)
        start, radius = self.points_mm[:-1][near], self.radii_mm[:-1][near]
        value, nearest = _round_cone_values(points_mm, start, radius, direction, length, slope)
        best, point = value.argmin(axis=1), np.arange(len(value))
        toward = points_mm - start[best] - nearest[point, best, None] * direction[best]
        length = np.sqrt((toward * toward).sum(axis=1, keepdims=True))
        return value[point, best], toward / np.maximum(length, 1e-12)

    def stretched(self, stretch: Stretch) -> "Tube":
        """See :class:`Shape`."""
        return Tube(stretch.map_points(self.points_mm), self.radii_mm)

    def _segments_near(self, points_mm: np.ndarray) -> np.ndarray | slice:
        """Return which segments can be nearest to any of the points."""
        if len(points_mm) * len(self.radii_mm) < _FEW_VALUES:
            return slice(None)
        # Callers pass points that lie close together, so that few segments are near any of them.
        middle = points_mm.mean(axis=0)
        reach = np.sqrt(((points_mm - middle) ** 2).sum(axis=1).max())
        direction, length, slope = self._segments
        value, _ = _round_cone_values(
            middle[None], self.points_mm[:-1], self.radii_mm[:-1], direction, length, slope
        )
        # Between the middle and a point, no value changes by more than their distance.
        return np.flatnonzero(value[0] <= value.min() + 2.0 * reach)


@dataclass(frozen=True, eq=False)
class Offset:
    """A shape with all values lowered by ``by_mm``: its true offset where they are exact."""

    shape: Shape
    by_mm: float

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        value, gradient = self.shape.evaluate(points_mm)
        return value - self.by_mm, gradient

    def stretched(self, stretch: Stretch) -> "Offset":
        """See :class:`Shape`."""
        return Offset(self.shape.stretched(stretch), self.by_mm)


@dataclass(frozen=True, eq=False)
class Complement:
    """Everything outside a shape. Exact where the shape's value is."""

    shape: Shape

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        value, gradient = self.shape.evaluate(points_mm)
        return -value, -gradient

    def stretched(self, stretch: Stretch) -> "Complement":
        """See :class:`Shape`."""
        return Complement(self.shape.stretched(stretch))


@dataclass(frozen=True, eq=False)
class Union:
    """The smooth union of shapes.

    The value is the polynomial smooth minimum of the parts' values, taken in order: where two of
    them differ by more than ``blend_mm``, it is their minimum. It is a bound, and its gradient is a
    convex combination of the parts' gradients.
    """

    parts: tuple[Shape, ...]
    blend_mm: float

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        value, gradient = self.parts[0].evaluate(points_mm)
        for part in self.parts[1:]:
            value, gradient = _smooth_minimum(
                value, gradient, *part.evaluate(points_mm), self.blend_mm
            )
        return value, gradient

    def stretched(self, stretch: Stretch) -> "Union":
        """See :class:`Shape`."""
        return Union(tuple(part.stretched(stretch) for part in self.parts), self.blend_mm)


@dataclass(frozen=True, eq=False)
class Intersection:
    """The smooth intersection of two shapes, its edge rounded over about ``blend_mm``."""

    shape: Shape
    keep: Shape
    blend_mm: float

    def evaluate(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """See :class:`Shape`."""
        first, first_gradient = self.shape.evaluate(points_mm)
        second, second_gradient = self.keep.evaluate(points_mm)
        # The maximum, which intersects, is the minimum with all signs turned.
        value, gradient = _smooth_minimum(
            -first, -first_gradient, -second, -second_gradient, self.blend_mm
        )
        return -value, -gradient

    def stretched(self, stretch: Stretch) -> "Intersection":
        """See :class:`Shape`."""
        return Intersection(
            self.shape.stretched(stretch), self.keep.stretched(stretch), self.blend_mm
        )


def evaluate_in_chunks(
    shape: Shape, points_mm: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Return the same as ``shape.evaluate``, computed in chunks that fit the cache."""
    value = np.empty(len(points_mm))
    gradient = np.empty((len(points_mm), 3))
    for start in range(0, len(points_mm), _POINTS_AT_ONCE):
        chunk = slice(start, start + _POINTS_AT_ONCE)
        value[chunk], gradient[chunk] = shape.evaluate(points_mm[chunk])
    return value, gradient


def _round_cone_values(
    points: np.ndarray,
    start: np.ndarray,
    radius: np.ndarray,
    direction: np.ndarray,
    length: np.ndarray,
    slope: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values ``[n, m]`` of m tube segments, and the nearest ball's position on each.

    The position ``[n, m]`` is in mm from the segment's start.
    """
    # Position along the axis and distance from it, by products of matrices.
    along = points @ direction.T - (start * direction).sum(axis=1)
    square = (points**2).sum(axis=1)[:, None] - 2.0 * points @ start.T + (start**2).sum(axis=1)
    across = np.sqrt(np.maximum(square - along**2, 0.0))
    # From the foot of the perpendicular, the nearest ball lies towards the larger radii.
    foot = along + slope / np.sqrt(1.0 - slope**2) * across
    nearest = np.minimum(np.maximum(foot, 0.0), length)  # np.clip does the same, more slowly
    return np.hypot(across, along - nearest) - radius - slope * nearest, nearest


def _smooth_minimum(
    first: np.ndarray,
    first_gradient: np.ndarray,
    second: np.ndarray,
    second_gradient: np.ndarray,
    blend_mm: float,
) -> tuple[np.ndarray, np.ndarray]:
    # Quilez's polynomial smooth minimum. The value's derivative by the weight is 0, so that the
    # gradient is the plain mixture.
    weight = np.minimum(np.maximum(0.5 + 0.5 * (second - first) / blend_mm, 0.0), 1.0)
    value = weight * first + (1.0 - weight) * (second - blend_mm * weight)
    gradient = weight[:, None] * first_gradient + (1.0 - weight[:, None]) * second_gradient
    return value, gradient


def spline_through(landmarks: Float[np.ndarray, "m k"], step_mm: float) -> Float[np.ndarray, "n k"]:
    """Sample a cubic spline through landmarks in steps of about ``step_mm``.

    The first three columns are positions in mm; any further columns (such as a radius) are
    interpolated along with them.
    """
    # Parametrized by chord length, so that uneven landmarks cause no overshoot.
    chord = np.linalg.norm(np.diff(landmarks[:, :3], axis=0), axis=1)
    knots = np.concatenate([[0.0], np.cumsum(chord)])
    count = max(int(np.ceil(knots[-1] / step_mm)), 2) + 1
    spline = CubicSpline(knots, landmarks, bc_type="natural")
    return np.asarray(spline(np.linspace(0.0, knots[-1], count)))


def vessel(landmarks: Float[np.ndarray, "m 4"], *, flat_end: bool) -> Shape:
    """Return a smooth tube through landmarks ``(x, y, z, radius)`` in mm.

    Args:
        landmarks: At least two.
        flat_end: Whether the far end is cut flat, like a vessel that an annotator cut off,
            instead of ending in a hemisphere.
    """
    line = spline_through(landmarks, _SPLINE_STEP_MM)
    tube = Tube(line[:, :3], line[:, 3])
    if not flat_end:
        return tube
    direction = line[-1, :3] - line[-2, :3]
    end = HalfSpace(line[-1, :3], direction / np.linalg.norm(direction))
    return Intersection(tube, end, _END_ROUNDING_MM)
