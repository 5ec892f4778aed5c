"""The field of view: how far distances can be trusted near the edge of a scan.

A structure that reaches the edge of the scan may continue beyond it. The wall that closes it there
is not anatomy. At a point closer to the edge than to the structure's surface, the distance to the
structure is known only to be at least the distance to the edge.
"""

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.anatomy.label_map import LabelMap

__all__ = ["EDGE_VOXELS", "cut_structures", "edge_distances_mm", "known_mm"]

EDGE_VOXELS = 2.0
"""Surfaces closer than this to the edge are not trusted, because smoothing rounds them there."""


def cut_structures(label_map: LabelMap, structure_count: int) -> Bool[np.ndarray, " k"]:
    """Return whether each of the labels 1…K reaches the edge of the grid."""
    labels = label_map.labels
    edges = [np.moveaxis(labels, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)]
    return np.isin(np.arange(1, structure_count + 1), np.concatenate(edges))


def edge_distances_mm(
    points_mm: Float[np.ndarray, "n 3"], label_map: LabelMap
) -> Float[np.ndarray, " n"]:
    """Compute the distance from each point to the edge of the field of view.

    The edge lies :data:`EDGE_VOXELS` inside the grid's outer faces.

    Args:
        points_mm: RAS+ mm.
        label_map: The scan, with any affine, also oblique or sheared.

    Returns:
        ``[N]`` float32 mm: positive inside the field of view, 0 or negative outside.
    """
    # Spacing of the planes of voxels; in a sheared grid it is less than the voxels' edge length.
    mm_per_index = 1 / np.linalg.norm(np.linalg.inv(label_map.affine[:3, :3]), axis=1)
    indices = label_map.to_indices(np.asarray(points_mm, dtype=np.float64))
    # Voxel centres have whole indices, so that the outer faces are at −0.5 and n − 0.5.
    first = EDGE_VOXELS - 0.5
    last = np.array(label_map.shape) - 1 - first
    within = np.minimum(indices - first, last - indices) * mm_per_index
    return within.min(axis=1).astype(np.float32)


def known_mm(
    edge_mm: Float[np.ndarray, " n"], cut: Bool[np.ndarray, " k"]
) -> Float[np.ndarray, "n k"]:
    """Return the magnitude up to which each structure's distance is known at each point.

    A distance whose magnitude is at most this value is exact. A larger one is known only to be at
    least this large. The sign is known where the value is positive.

    Args:
        edge_mm: Distance from each point to the edge of the field of view, mm.
        cut: Whether each structure is cut by the field of view.

    Returns:
        ``[N, K]`` float32 mm: ``+inf`` for a complete structure, the distance to the edge for a cut
        one.
    """
    known = np.full((len(edge_mm), len(cut)), np.inf, dtype=np.float32)
    if cut.any():
        known[:, cut] = edge_mm[:, None]
    return known
