"""Smooth curves through landmarks."""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from vecsetx.anatomy.phantom.shapes import Cut, HalfSpace, Shape, Tube

_STEP_MM = 3.0
_END_ROUNDING_MM = 1.0


def along(landmarks: Float[np.ndarray, "m k"], step_mm: float) -> Float[np.ndarray, "n k"]:
    """A cubic spline through landmarks, drawn in steps of about ``step_mm``.

    The first three columns are a place in mm; further columns (a radius, say) follow smoothly.
    """
    chord = np.linalg.norm(np.diff(landmarks[:, :3], axis=0), axis=1)
    knots = np.concatenate([[0.0], np.cumsum(chord)])
    count = max(int(np.ceil(knots[-1] / step_mm)), 2) + 1
    spline = CubicSpline(knots, landmarks, bc_type="natural")
    return np.asarray(spline(np.linspace(0.0, knots[-1], count)))


def vessel(landmarks: Float[np.ndarray, "m 4"], *, open_end: bool) -> Shape:
    """A tube through landmarks ``(x, y, z, radius)`` in mm.

    Args:
        landmarks: At least two.
        open_end: Whether the far end is cut flat, like a vessel that a scan's reader cut off,
            instead of ending in a ball.
    """
    line = along(landmarks, _STEP_MM)
    tube = Tube(line[:, :3], line[:, 3])
    if not open_end:
        return tube
    direction = line[-1, :3] - line[-2, :3]
    end = HalfSpace(line[-1, :3], direction / np.linalg.norm(direction))
    return Cut(tube, end, _END_ROUNDING_MM)
