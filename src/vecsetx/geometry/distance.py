"""Exact signed distances from points to the surfaces of all structures, in mm."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import inside, with_sign

__all__ = ["ClosedSurfaces", "signed_distances_mm"]

_BAND_VOXELS = 4
"""Within this many voxels of a surface, distances are to its triangles; beyond, to its nearest
vertex. Vertices are a voxel apart, so that these distances are at most 0.06 voxels too long."""

ClosedSurfaces = Sequence[tuple[np.ndarray, np.ndarray]]
"""Vertices ``[V, 3]`` in mm and outward-facing faces ``[F, 3]`` per structure; empty if absent."""

_FARTHEST_MM = 1e6  # libigl takes no infinity


def signed_distances_mm(
    points_mm: Float[np.ndarray, "n 3"],
    closed_surfaces: ClosedSurfaces,
    label_map: LabelMap,
    reach_mm: float = np.inf,
    band_mm: float | None = None,
    drawn_from: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "n k"]:
    """Compute the signed distance of every point to every structure, negative inside.

    Up to ``band_mm`` from a surface, the distance is exact and its sign comes from the
    angle-weighted pseudonormal (Bærentzen and Aanæs, IEEE TVCG 2005). If that sign contradicts the
    voxel's label more than a voxel away from the surface, the winding number decides (Jacobson et
    al., ACM TOG 2013); this happens beside creases that smoothing folded over. Beyond ``band_mm``,
    the distance is that to the nearest vertex (at most a fraction of a voxel too long), and the
    sign comes from the voxel's label.

    Args:
        points_mm: RAS+ mm.
        closed_surfaces: Vertices (mm) and outward-facing faces of each of the K structures.
        label_map: Labels 1…K, without specks. It decides the sign far from the surfaces, and which
            structure a point belongs to where rounding at an edge puts it inside two.
        reach_mm: Distances are truncated at this value. Most structures are far from most points,
            and computing these distances exactly would take most of the time.
        band_mm: Distance up to which triangles are used; 4 voxels if None, which suits surfaces
            whose vertices are a voxel apart. With 0, distances are rough but quick: near a surface
            they are too long by half a voxel.
        drawn_from: Index of the structure on whose surface each point was sampled, −1 for none. The
            distance to that surface is set to exactly 0.

    Returns:
        ``[N, K]`` float32 mm; ``+inf`` for a structure without a surface.
    """
    if not len(points_mm):
        return np.empty((0, len(closed_surfaces)), dtype=np.float32)
    # 1. Sort the points in space: neighbours then visit the same parts of the search trees.
    order = _morton_order(points_mm)
    sorted_mm = np.ascontiguousarray(points_mm[order], dtype=np.float64)
    labels = label_map.at(sorted_mm)
    own = np.full(len(order), -1) if drawn_from is None else drawn_from[order]
    voxel_mm = float(label_map.spacing_mm.max())
    if band_mm is None:
        band_mm = _BAND_VOXELS * voxel_mm
    band_mm = min(band_mm, reach_mm, _FARTHEST_MM)
    # 2. Start from the truncated distance; compute only those that the bounding box leaves open.
    distances = np.full((len(points_mm), len(closed_surfaces)), np.inf, dtype=np.float32)
    for k, surface in enumerate(closed_surfaces):
        if len(surface[1]) > 0:
            within, elsewhere = labels == k + 1, own != k
            distances[:, k] = with_sign(reach_mm, within)
            distances[~elsewhere, k] = 0
            close = np.flatnonzero(elsewhere & _in_box(sorted_mm, surface[0], reach_mm))
            distances[close, k] = _to_surface(
                sorted_mm[close], surface, within[close], reach_mm, band_mm, voxel_mm
            )
    # 3. Structures are disjoint, so that no point may be inside two of them.
    doubly = inside(distances).sum(axis=1) > 1
    distances[doubly] = _inside_one(distances[doubly], labels[doubly])
    # 4. Back to the given order.
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
    """Return signed distances to one surface; ``within``: whether a point's voxel has its label."""
    import igl
    from pykdtree.kdtree import KDTree

    vertices, faces = surface
    # 1. In the band, exact distances to the triangles. libigl returns NaN beyond the band.
    signed = np.full(len(points_mm), np.nan)
    near = np.flatnonzero(_in_box(points_mm, vertices, band_mm))
    if band_mm > 0 and len(near) > 0:
        signed[near], *_ = igl.signed_distance(
            points_mm[near],
            vertices,
            faces,
            igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL,
            -band_mm,
            band_mm,
        )
    # 2. Where voxel and pseudonormal disagree by more than smoothing explains, count the turns.
    disputed = np.flatnonzero((inside(signed) != within) & (np.abs(signed) > voxel_mm))
    if len(disputed) > 0:
        turns = igl.winding_number(vertices, faces, points_mm[disputed])
        signed[disputed] = with_sign(signed[disputed], turns > 0.5)
    # 3. Beyond the band, distances to the nearest vertex.
    far = np.isnan(signed)
    if far.any():
        to_vertex, _ = KDTree(vertices.astype(np.float32)).query(
            points_mm[far].astype(np.float32), distance_upper_bound=reach_mm
        )
        signed[far] = with_sign(np.minimum(to_vertex, reach_mm), within[far])
    return signed


def _in_box(points: np.ndarray, vertices: np.ndarray, margin: float) -> np.ndarray:
    """Return whether each point is in the vertices' bounding box, enlarged by a margin."""
    low, high = vertices.min(axis=0) - margin, vertices.max(axis=0) + margin
    within = np.ones(len(points), dtype=bool)
    for axis in range(3):  # faster than comparing rows of three
        within &= (points[:, axis] >= low[axis]) & (points[:, axis] <= high[axis])
    return within


def _inside_one(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Keep each point inside one structure: its voxel's if it is inside that, else the deepest."""
    points = np.arange(len(distances))
    by_voxel = np.maximum(labels.astype(np.int64) - 1, 0)
    claimed = (labels > 0) & inside(distances[points, by_voxel])
    owner = np.where(claimed, by_voxel, distances.argmin(axis=1))
    owns = np.arange(distances.shape[1]) == owner[:, None]
    return with_sign(distances, owns)


def _morton_order(points: np.ndarray) -> np.ndarray:
    """Return the order of points along a Morton curve, which keeps neighbours close together."""
    low, extent = points.min(axis=0), np.ptp(points, axis=0).max() or 1.0
    # 10 bits per axis, interleaved: z₉y₉x₉ … z₀y₀x₀.
    cells = ((points - low) / extent * 1023).astype(np.uint32)
    code = np.zeros(len(points), dtype=np.uint32)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")
