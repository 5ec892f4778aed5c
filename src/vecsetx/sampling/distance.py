"""Exact signed distances from points to every structure's surface, in mm."""

from collections.abc import Sequence

import igl
import numpy as np
from jaxtyping import Float, Int
from pykdtree.kdtree import KDTree

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import inside, with_sign

BAND_VOXELS = 4
"""Distances up to this many voxels are those to the triangles; farther ones, to the vertices, which
lie a voxel apart: at most 0.06 voxel too long."""

ClosedSurfaces = Sequence[tuple[np.ndarray, np.ndarray]]
"""Vertices ``[V, 3]`` mm and faces ``[F, 3]`` per structure, normals outwards; empty if absent."""

_FARTHEST_MM = 1e6  # libigl takes no infinity
_PSEUDONORMAL = igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL


def signed_distances_mm(
    points_mm: Float[np.ndarray, "n 3"],
    closed_surfaces: ClosedSurfaces,
    label_map: LabelMap,
    reach_mm: float = np.inf,
    band_mm: float | None = None,
    drawn_from: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "n k"]:
    """Signed distance of every point to every structure, negative inside.

    Near a surface the distance is exact and its sign comes from the angle-weighted pseudonormal
    (Bærentzen and Aanæs, IEEE TVCG 2005). Where that contradicts the voxel's label more than a
    voxel off the surface, as beside a crease that smoothing folded, the winding number decides
    (Jacobson et al., ACM TOG 2013). Beyond ``band_mm`` it is the distance to the nearest vertex (at
    most a fraction of a voxel too long) and the sign is the voxel's label.

    Args:
        points_mm: RAS+ mm.
        closed_surfaces: Vertices (mm) and outward faces of each of the K structures.
        label_map: Labels 1…K, without specks; decides the sign far from every surface, and where
            rounding at an edge puts a point inside two structures at once.
        reach_mm: Distances are at most this; a point that is farther has it with its sign. Most
            pairs of point and structure are far apart, and looking for their exact distance takes
            more time than all the rest.
        band_mm: Up to where distances are those to the triangles; :data:`BAND_VOXELS` if None,
            which is right for surfaces whose vertices lie a voxel apart.
        drawn_from: Index of the structure on whose surface a point lies, −1 for none: that distance
            is 0 by construction, not by rounding.

    Returns:
        ``[N, K]`` float32 mm; ``+inf`` for a structure that is not in the label map.
    """
    order = _along_a_curve(points_mm)
    sorted_mm = np.ascontiguousarray(points_mm[order], dtype=np.float64)
    labels = label_map.at(sorted_mm)
    own = np.full(len(order), -1) if drawn_from is None else drawn_from[order]
    voxel_mm = float(label_map.spacing_mm.max())
    if band_mm is None:
        band_mm = BAND_VOXELS * voxel_mm
    band_mm = min(band_mm, reach_mm, _FARTHEST_MM)
    distances = np.full((len(points_mm), len(closed_surfaces)), np.inf, dtype=np.float32)
    for k, surface in enumerate(closed_surfaces):
        if len(surface[1]) > 0:
            within, elsewhere = labels == k + 1, own != k
            distances[:, k] = with_sign(reach_mm, within)
            distances[~elsewhere, k] = 0
            asked = np.flatnonzero(elsewhere & _in_box(sorted_mm, surface[0], reach_mm))
            distances[asked, k] = _to_surface(
                sorted_mm[asked], surface, within[asked], reach_mm, band_mm, voxel_mm
            )
    doubly = inside(distances).sum(axis=1) > 1
    distances[doubly] = _inside_one(distances[doubly], labels[doubly])
    in_given_order = np.empty_like(distances)
    in_given_order[order] = distances
    return in_given_order


def _to_surface(
    points_mm: np.ndarray,
    surface: tuple[np.ndarray, np.ndarray],
    within: np.ndarray,
    reach_mm: float,
    band_mm: float,
    voxel_mm: float,
) -> np.ndarray:
    """Signed distances to one surface; ``within`` are those whose voxel has its label."""
    vertices, faces = surface
    signed = np.full(len(points_mm), np.nan)
    near = np.flatnonzero(_in_box(points_mm, vertices, band_mm))
    if len(near) > 0:
        signed[near], *_ = igl.signed_distance(
            points_mm[near], vertices, faces, _PSEUDONORMAL, -band_mm, band_mm
        )
    disputed = np.flatnonzero((inside(signed) != within) & (np.abs(signed) > voxel_mm))
    if len(disputed) > 0:
        turns = igl.winding_number(vertices, faces, points_mm[disputed])
        signed[disputed] = with_sign(signed[disputed], turns > 0.5)
    far = np.isnan(signed)
    if far.any():
        to_vertex, _ = KDTree(vertices.astype(np.float32)).query(
            points_mm[far].astype(np.float32), distance_upper_bound=reach_mm
        )
        signed[far] = with_sign(np.minimum(to_vertex, reach_mm), within[far])
    return signed


def _in_box(points: np.ndarray, vertices: np.ndarray, margin: float) -> np.ndarray:
    """Which points lie in the vertices' bounding box, grown by a margin."""
    low, high = vertices.min(axis=0) - margin, vertices.max(axis=0) + margin
    there = np.ones(len(points), dtype=bool)
    for axis in range(3):
        there &= (points[:, axis] >= low[axis]) & (points[:, axis] <= high[axis])
    return there


def _inside_one(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Leave each point inside one structure: its voxel's if that claims it, else the deepest."""
    points = np.arange(len(distances))
    by_voxel = np.maximum(labels.astype(np.int64) - 1, 0)
    claimed = (labels > 0) & inside(distances[points, by_voxel])
    owner = np.where(claimed, by_voxel, distances.argmin(axis=1))
    owns = np.arange(distances.shape[1]) == owner[:, None]
    return with_sign(distances, owns)


def _along_a_curve(points: np.ndarray) -> np.ndarray:
    """Order points along a Morton curve: neighbours in the list are neighbours in space."""
    low, extent = points.min(axis=0), np.ptp(points, axis=0).max() or 1.0
    cells = ((points - low) / extent * 1023).astype(np.uint32)
    code = np.zeros(len(points), dtype=np.uint32)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")
