"""The field of view: how far distances can be trusted near the edge of a scan.

A structure that reaches the edge of the scan may continue beyond it. The wall that closes it there
is not anatomy. At a point closer to the edge than to the structure's surface, the distance to the
structure is known only to be at least the distance to the edge. Unknown voxels end the field of
view as the edge does; at a point in one of them, nothing is known of any structure.
"""

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.anatomy.field_of_view import EDGE_VOXELS
from vecsetx.anatomy.label_map import LabelMap

__all__ = ["EDGE_VOXELS", "cut_structures", "edge_distances_mm", "known_mm", "voxels_at_edge"]


def cut_structures(label_map: LabelMap, structure_count: int) -> Bool[np.ndarray, " k"]:
    """Return whether each of the labels 1…K reaches the edge of the grid or an unknown voxel."""
    box = label_map.bounding_box()
    return np.isin(
        np.arange(1, structure_count + 1), label_map.labels[box][voxels_at_edge(label_map, box)]
    )


def voxels_at_edge(
    label_map: LabelMap, box: tuple[slice, slice, slice]
) -> Bool[np.ndarray, "a b c"]:
    """Return which voxels of a box lie in the grid's outermost layer or touch an unknown voxel.

    Voxels touch if they share a face, an edge or a corner.

    Args:
        label_map: The scan.
        box: Part of its grid, with ends.
    """
    from scipy import ndimage

    start, stop = (np.array([getattr(side, end) for side in box]) for end in ("start", "stop"))
    at_edge = np.zeros(stop - start, dtype=bool)
    for axis, size in enumerate(label_map.shape):
        layers = np.moveaxis(at_edge, axis, 0)
        layers[: int(start[axis] == 0)] = True
        layers[len(layers) - int(stop[axis] == size) :] = True
    if label_map.unknown is not None:
        # One voxel more on each side where there is one, and off again.
        margin = start - np.maximum(start - 1, 0)
        around = tuple(map(slice, start - margin, stop + 1))
        grown = ndimage.maximum_filter(label_map.unknown[around], size=3)
        at_edge |= grown[tuple(map(slice, margin, margin + at_edge.shape))]
    return at_edge


def edge_distances_mm(
    points_mm: Float[np.ndarray, "n 3"], label_map: LabelMap
) -> Float[np.ndarray, " n"]:
    """Compute the distance from each point to the edge of the field of view.

    The edge lies :data:`EDGE_VOXELS` inside the grid's outer faces and the faces of unknown voxels.

    Args:
        points_mm: RAS+ mm.
        label_map: The scan, with any affine, also oblique or sheared.

    Returns:
        ``[N]`` float32 mm: positive inside the field of view, 0 or negative outside, ``-inf`` in
        unknown voxels.
    """
    return label_map.field_of_view.edge_distances_mm(points_mm)


def known_mm(
    edge_mm: Float[np.ndarray, " n"], cut: Bool[np.ndarray, " k"]
) -> Float[np.ndarray, "n k"]:
    """Return the magnitude up to which each structure's distance is known at each point.

    A distance whose magnitude is at most this value is exact. A larger one is known only to be at
    least this large. The sign is known where the value is positive.

    Args:
        edge_mm: Distance from each point to the edge of the field of view, mm; ``-inf`` in unknown
            voxels.
        cut: Whether each structure is cut by the field of view.

    Returns:
        ``[N, K]`` float32 mm: ``+inf`` for a complete structure, the distance to the edge for a cut
        one; ``-inf`` for all structures in unknown voxels.
    """
    known = np.full((len(edge_mm), len(cut)), np.inf, dtype=np.float32)
    if cut.any():
        known[:, cut] = edge_mm[:, None]
    known[edge_mm == -np.inf] = -np.inf
    return known
