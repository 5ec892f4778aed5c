"""Valves: where two structures meet."""

from dataclasses import dataclass, replace

import igl
import numpy as np
from jaxtyping import Bool, Float
from pykdtree.kdtree import KDTree

from vecsetx.measures.triangles import Triangles

__all__ = ["GAP_MM", "TOUCHING_MM", "Valve", "facing", "find_valve"]

GAP_MM = 3.0
"""Structures meet across background up to this wide: leaflets and thin walls are often not
labelled."""

_AHEAD = 0.7
"""Cosine of the largest angle between a face's normal and the way to the other structure."""

TOUCHING_MM = 1e-3
"""So close, the way to the other structure has no direction."""


@dataclass(frozen=True, slots=True)
class Valve:
    """The opening between two structures.

    Attributes:
        center_mm: ``[3]`` its centre, RAS+ mm.
        axis: ``[3]`` unit vector through it, out of the first structure.
        area_mm2: Area of the opening, as if it were flat.
    """

    center_mm: Float[np.ndarray, "3"]
    axis: Float[np.ndarray, "3"]
    area_mm2: float


def find_valve(first: Triangles, second: Triangles, gap_mm: float = GAP_MM) -> Valve | None:
    """Return the opening between two structures; None if they do not meet.

    The opening is the part of a structure's surface that faces the other one, of the structure
    where it is smaller. Its area is the length of the sum of its triangles' area vectors: this
    depends on its rim alone, so that it is the same however the patch bulges.

    Args:
        first: Surface of the first structure.
        second: Surface of the second.
        gap_mm: How far apart they may lie.
    """
    of_first, of_second = _opening(first, second, gap_mm), _opening(second, first, gap_mm)
    if of_first is None or of_second is None:
        return None
    if of_first.area_mm2 <= of_second.area_mm2:
        return of_first
    return replace(of_second, axis=-of_second.axis)


def _opening(of: Triangles, toward: Triangles, gap_mm: float) -> Valve | None:
    patch = facing(of, toward, gap_mm)
    vector = of.area_vectors_mm2[patch].sum(axis=0)
    area_mm2 = float(np.linalg.norm(vector))
    if area_mm2 == 0:
        return None
    weight = of.areas_mm2[patch]
    center_mm = (weight[:, None] * of.centers_mm[patch]).sum(axis=0) / weight.sum()
    return Valve(center_mm, vector / area_mm2, area_mm2)


def facing(first: Triangles, second: Triangles, gap_mm: float) -> Bool[np.ndarray, " f"]:
    """Return which triangles of a surface face another surface, at most so far away."""
    found = np.zeros(len(first.faces), dtype=bool)
    # Exact distances take long; of any point of a triangle, its centre is no farther than a corner.
    corners_mm = second.vertices_mm[second.faces] - second.centers_mm[:, None]
    reach_mm = gap_mm + np.linalg.norm(corners_mm, axis=2).max()
    to_center_mm, _ = KDTree(second.centers_mm.astype(np.float32)).query(
        first.centers_mm.astype(np.float32), distance_upper_bound=float(reach_mm)
    )
    near = np.flatnonzero(np.isfinite(to_center_mm))
    if len(near) == 0:
        return found
    square, _, closest_mm = igl.point_mesh_squared_distance(
        first.centers_mm[near], second.vertices_mm, second.faces
    )
    distance_mm = np.sqrt(square)
    way_mm = closest_mm - first.centers_mm[near]
    ahead = (way_mm * first.normals[near]).sum(axis=1) > _AHEAD * distance_mm
    found[near] = (distance_mm <= gap_mm) & (ahead | (distance_mm < TOUCHING_MM))
    return found
