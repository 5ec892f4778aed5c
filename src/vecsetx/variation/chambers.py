"""Chambers that fill and empty: a motion that widens one of them and keeps tissue's volume."""

import numpy as np
from jaxtyping import Float

__all__ = ["Filling"]


class Filling:
    """The motion of everything around a chamber that fills or empties.

    The chamber is taken as the ellipsoid with the centroid and the covariance of its points. Inside
    it, everything grows alike. What is outside is pushed away without a change of volume, so that a
    ventricle's wall becomes thicker as its cavity shrinks.

    Args:
        points_mm: ``[N, 3]`` points evenly within the chamber, RAS+ mm.
        growth: Logarithm of the factor by which the chamber's diameters change.
    """

    def __init__(self, points_mm: Float[np.ndarray, "n 3"], growth: float) -> None:
        self._center_mm = points_mm.mean(axis=0)
        self._factor = float(np.exp(growth))
        # The covariance of a solid ellipsoid with semi-axes a, b, c is diag(a², b², c²)/5.
        squares, axes = np.linalg.eigh(5 * np.cov(points_mm.T, bias=True))
        self._to_ball = (axes / np.sqrt(np.maximum(squares, 1.0))) @ axes.T

    def moved(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Where points, RAS+ mm, are after the motion."""
        return self._scaled(points_mm, 1.0, self._factor)

    def undone(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Where points were before it: the inverse of :meth:`moved`."""
        return self._scaled(points_mm, self._factor, 1.0)

    def _scaled(
        self, points_mm: Float[np.ndarray, "*n 3"], before: float, after: float
    ) -> Float[np.ndarray, "*n 3"]:
        """Bring the sphere of one radius to another one, where the ellipsoid is the unit ball.

        A linear change of coordinates scales all volumes alike. So the motion keeps the volume
        outside there as here, if the cube of the radius changes by the same everywhere.
        """
        offsets = points_mm - self._center_mm
        radius = np.linalg.norm(offsets @ self._to_ball, axis=-1, keepdims=True)
        outside = radius > before
        cubes = np.where(outside, radius**3 - before**3 + after**3, 1.0)
        scale = np.where(outside, np.cbrt(cubes) / np.where(outside, radius, 1.0), after / before)
        return np.asarray(self._center_mm + scale * offsets)
