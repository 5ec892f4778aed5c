"""Pieces of closed surfaces that lie far from the heart."""

from collections.abc import Sequence

import numpy as np
from pykdtree.kdtree import KDTree

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.formats.closed_mesh import face_pieces
from vecsetx.geometry.distance import ClosedSurfaces
from vecsetx.geometry.pieces import without_stray_pieces
from vecsetx.geometry.voxelize import voxelize_surfaces

__all__ = ["without_stray_surfaces"]


def without_stray_surfaces(
    closed: ClosedSurfaces, structures: Sequence[str]
) -> tuple[ClosedSurfaces, LabelMap]:
    """Return closed surfaces without the pieces that lie far from the heart.

    The rule is that of :func:`~vecsetx.geometry.pieces.without_stray_pieces`, for the voxels inside
    the surfaces.

    Args:
        closed: The surface of each structure, RAS+ mm.
        structures: Names of the K structures.

    Returns:
        The surfaces, and the label map (1…K) of the voxels inside them, with a remark on every
        piece that lies far from the heart.
    """
    everything = voxelize_surfaces(closed)
    near = without_stray_pieces(everything, structures)
    if near is everything or np.array_equal(near.labels, everything.labels):
        return closed, near
    left = [_near_part(surface, everything, near, label) for label, surface in enumerate(closed, 1)]
    return left, voxelize_surfaces(left).remarked(near.remarks)  # on a grid around what is left


def _near_part(
    surface: tuple[np.ndarray, np.ndarray], everything: LabelMap, near: LabelMap, label: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pieces of a structure's surface that lie nearer to what is left of its voxels.

    Not the voxels themselves decide, because a thin piece may have none.
    """
    is_left = near.labels == label
    is_gone = (everything.labels == label) & ~is_left
    if not is_gone.any():
        return surface
    vertices, faces = surface
    piece = face_pieces(vertices, faces)
    to_left, to_gone = (
        _distances_mm(vertices[faces[:, 0]], everything, voxels) for voxels in (is_left, is_gone)
    )
    nearest = np.full((2, piece.max() + 1), np.inf)
    np.minimum.at(nearest[0], piece, to_left)
    np.minimum.at(nearest[1], piece, to_gone)
    kept = faces[(nearest[0] <= nearest[1])[piece]]
    used, renumbered = np.unique(kept, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3)


def _distances_mm(points_mm: np.ndarray, label_map: LabelMap, voxels: np.ndarray) -> np.ndarray:
    """Return the distance ``[N]`` from each point to the nearest of some voxels."""
    centers_mm = label_map.to_mm(np.argwhere(voxels).astype(np.float64))
    distances: np.ndarray = KDTree(centers_mm).query(points_mm)[0]
    return distances
