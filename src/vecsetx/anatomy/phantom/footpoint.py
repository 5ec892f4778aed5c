"""Exact distances to implicit surfaces, by searching for the nearest surface point."""

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.phantom.shapes import Shape, evaluate_in_chunks

_STEPS = 30
_STRIDE_MM = 1.5  # longest move in the tangent plane per step
_LANDED_MM = 0.01  # a point this close to the surface counts as on it
_SETTLED_MM = 1e-3  # stop once the tangential move is this short


def distance_to_level(
    shape: Shape,
    points_mm: Float[np.ndarray, "n 3"],
    level_mm: float,
    value: Float[np.ndarray, " n"],
    gradient: Float[np.ndarray, "n 3"],
) -> Float[np.ndarray, " n"]:
    """Return the unsigned distances to the surface where ``shape`` has the value ``level_mm``.

    The search for the foot point (the nearest surface point) alternates two steps: a Newton step
    along the gradient onto the surface, and a projection of the query point onto the tangent plane
    there (Hartmann, "On the curvature of curves and surfaces defined by normalforms", 1999). The
    distance to any surface point is an upper bound, and ``value`` gives a lower bound. The result
    is the smallest upper bound, or the lower bound where no step reached the surface.

    Args:
        shape: The shape.
        points_mm: Query points, at most a few mm from the surface.
        level_mm: The value on the surface.
        value: The shape's values at the points, mm.
        gradient: The shape's gradients at the points.
    """
    lower = np.abs(value - level_mm)
    best = np.full(len(points_mm), np.inf)
    foot = points_mm - _newton_step(value - level_mm, gradient)
    stride = np.ones(len(points_mm))
    last = np.full(len(points_mm), np.inf)
    active = np.arange(len(points_mm))
    for _ in range(_STEPS):
        if not len(active):
            break
        # 1. Newton step onto the surface.
        height, slope = evaluate_in_chunks(shape, foot[active])
        height = height - level_mm
        length = np.maximum(np.linalg.norm(slope, axis=1), 1e-3)
        landing = foot[active] - _newton_step(height, slope)
        offset = points_mm[active] - landing
        # After a Newton step from close by, the remaining error is of second order in the height.
        landed = np.abs(height) < _LANDED_MM * length
        reached = np.linalg.norm(offset, axis=1)
        best[active[landed]] = np.minimum(best[active[landed]], reached[landed])
        # 2. Project the point onto the tangent plane at the landing; the next foot is there.
        normal = slope / length[:, None]
        sideways = offset - (offset * normal).sum(axis=1, keepdims=True) * normal
        way = np.linalg.norm(sideways, axis=1)
        # Where the radius of curvature is below the distance, full steps oscillate: halve them.
        stride[active] *= np.where(way > 0.7 * last[active], 0.5, 1.0)
        last[active] = way
        bound = np.minimum(stride[active], _STRIDE_MM / np.maximum(way, 1e-9))
        foot[active] = landing + bound[:, None] * sideways
        active = active[(way > _SETTLED_MM) | ~landed]
    return np.where(np.isfinite(best), np.maximum(best, lower), lower)


def _newton_step(height: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    square = np.maximum((gradient * gradient).sum(axis=1), 1e-3)
    return np.asarray((height / square)[:, None] * gradient)
