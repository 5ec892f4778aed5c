"""The field of view: how far around a point a scan shows what is there.

A structure that reaches the edge of the scan may go on beyond it. The wall that closes it there is
no anatomy, and at a point nearer to the edge than to the structure's surface the distance is only
known to be at least as large as that to the edge.
"""

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.anatomy.label_map import LabelMap

EDGE_VOXELS = 2.0
"""The surface is rounded this close to the edge, so that nothing is known there."""


def cut_structures(label_map: LabelMap, structure_count: int) -> Bool[np.ndarray, " k"]:
    """Which of the labels 1…K reach the edge of the grid."""
    labels = label_map.labels
    edges = [np.moveaxis(labels, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)]
    return np.isin(np.arange(1, structure_count + 1), np.concatenate(edges))


def edge_distances_mm(
    points_mm: Float[np.ndarray, "n 3"], label_map: LabelMap
) -> Float[np.ndarray, " n"]:
    """Distance from each point to the edge of what the scan shows.

    The edge lies :data:`EDGE_VOXELS` within the grid's outermost faces.

    Args:
        points_mm: RAS+ mm.
        label_map: Any affine, oblique or sheared ones included.

    Returns:
        ``[N]`` float32 mm, positive within the scan; beyond the edge negative or 0.
    """
    mm_per_index = 1 / np.linalg.norm(np.linalg.inv(label_map.affine[:3, :3]), axis=1)
    indices = label_map.to_indices(np.asarray(points_mm, dtype=np.float64))
    first = EDGE_VOXELS - 0.5
    last = np.array(label_map.shape) - 1 - first
    within = np.minimum(indices - first, last - indices) * mm_per_index
    return within.min(axis=1).astype(np.float32)


def known_mm(
    edge_mm: Float[np.ndarray, " n"], cut: Bool[np.ndarray, " k"]
) -> Float[np.ndarray, "n k"]:
    """How far each structure's distance is known at each point.

    A distance is to be trusted if its size is at most this; a larger one is only known to be at
    least this large. Its sign is known where this is positive.

    Args:
        edge_mm: Distance from each point to the edge of the scan.
        cut: Whether each structure reaches the edge of the scan.

    Returns:
        ``[N, K]`` float32 mm: ``+inf`` for a complete structure, the distance to the edge for one
        that is cut.
    """
    known = np.full((len(edge_mm), len(cut)), np.inf, dtype=np.float32)
    if cut.any():
        known[:, cut] = edge_mm[:, None]
    return known
