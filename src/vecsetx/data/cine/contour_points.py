"""Points of contours, from surface points near planes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Integer

from vecsetx.data.cine.planes import Plane

__all__ = ["on_planes"]

_FARTHEST_MM = 1.0
"""Way along the surface to the plane above which a point is none of the contour."""


def on_planes(
    points_mm: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    structure: Integer[np.ndarray, " n"],
    areas_mm2: Float[np.ndarray, " k"],
    planes: Sequence[Plane],
    count: int,
) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, "m 3"]]:
    """Move surface points along their surfaces onto the nearest plane, and by its shift.

    The contours of all structures come out with as many points per millimetre, as those of slices
    have (:mod:`vecsetx.views.contours`), though the structures' surfaces have different numbers of
    points per area.

    Args:
        points_mm: Points on surfaces, evenly distributed on each structure's, RAS+ mm.
        normals: Their unit normals.
        structure: Index 0…K−1 of each point's structure.
        areas_mm2: Area of each structure's surface.
        planes: The planes.
        count: Largest number of points returned.

    Returns:
        Rows of the points that were moved onto planes, in order, and where they are now.
    """
    ways_mm = np.full(len(points_mm), np.inf)
    moved_mm = np.array(points_mm)
    # Heights above all planes at once, in single precision, which is finest near the origin.
    middle_mm = points_mm[0]
    directions = np.array([plane.normal for plane in planes], moved_mm.dtype).reshape(-1, 3)
    all_heights_mm = directions @ (moved_mm - middle_mm).T
    for plane, own_mm in zip(planes, all_heights_mm, strict=True):
        heights_mm = own_mm + float(middle_mm @ plane.normal - plane.height_mm)
        rows = np.flatnonzero((np.abs(heights_mm) < _FARTHEST_MM) & plane.shows[structure])
        # Down the surface, along the plane's normal without its part across the surface. The way is
        # longer than the height by 1/sine of the angle between the surface and the plane.
        cosines = normals[rows] @ plane.normal
        squares = np.maximum(1 - cosines**2, 1e-6)
        nearer = np.abs(heights_mm[rows]) / np.sqrt(squares) < ways_mm[rows]
        rows, cosines, squares = rows[nearer], cosines[nearer], squares[nearer]
        heights = heights_mm[rows]
        down = plane.normal - cosines[:, None] * normals[rows]
        ways_mm[rows] = np.abs(heights) / np.sqrt(squares)
        moved_mm[rows] = points_mm[rows] - (heights / squares)[:, None] * down + plane.shift_mm
    near = np.flatnonzero(ways_mm < _FARTHEST_MM)
    if len(near) > count:
        # Of a strip of the same width on either side, each structure would give as many points per
        # length as its surface has per area.
        density = np.bincount(structure, minlength=len(areas_mm2)) / np.maximum(areas_mm2, 1.0)
        widths = ways_mm[near] * density[structure[near]]
        near = near[widths <= np.partition(widths, count - 1)[count - 1]][:count]
    return near, moved_mm[near]
