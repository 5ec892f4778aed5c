"""Label maps on another grid, moved on the way."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap

__all__ = ["box_of", "corners_mm", "grid_around", "resampled"]

Motion = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]]
"""Maps points, RAS+ mm, to where their label is found."""


def box_of(mask: Bool[np.ndarray, "i j k"]) -> tuple[slice, ...]:
    """Return the box around a mask that is not empty, with one voxel more on each side."""
    (found,) = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in found)


def corners_mm(label_map: LabelMap) -> Float[np.ndarray, "8 3"]:
    """Return the corners of the box around the foreground, RAS+ mm."""
    ends = [(side.start, side.stop - 1) for side in label_map.bounding_box()]
    return label_map.to_mm(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3))


def grid_around(
    points_mm: Float[np.ndarray, "n 3"],
    axes: Float[np.ndarray, "3 3"],
    spacing_mm: Float[np.ndarray, "3"],
    margin_mm: float | Float[np.ndarray, "3"],
) -> tuple[Float[np.ndarray, "4 4"], tuple[int, int, int]]:
    """Return the affine and shape of a grid that covers points.

    Args:
        points_mm: The points, RAS+ mm.
        axes: Unit vectors along the grid's axes, as columns.
        spacing_mm: Voxel size along each.
        margin_mm: Margin on every side, or along each axis.
    """
    along = points_mm @ axes
    low, high = along.min(axis=0) - margin_mm, along.max(axis=0) + margin_mm
    i, j, k = (np.ceil((high - low) / spacing_mm).astype(int) + 1).tolist()
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = axes @ low
    return affine, (i, j, k)


def resampled(
    label_map: LabelMap,
    affine: Float[np.ndarray, "4 4"],
    shape: tuple[int, int, int],
    found_at: Motion | None = None,
    complete: bool = False,
) -> LabelMap:
    """Return the label of the nearest voxel at each voxel centre of another grid.

    Args:
        label_map: The map.
        affine: Affine of the other grid.
        shape: Its number of voxels along each axis.
        found_at: Maps a voxel centre to where its label is found; None: right there.
        complete: Whether all beyond the first grid is background; if not, it is unknown.
    """
    to_indices = np.linalg.inv(label_map.affine)
    labels = np.zeros(shape, dtype=label_map.labels.dtype)
    unknown = np.zeros(shape, dtype=bool)
    # Slice by slice: coordinates of a whole grid take twenty times its memory.
    j, k = (axis.ravel() for axis in np.meshgrid(*map(np.arange, shape[1:]), indexing="ij"))
    for i in range(shape[0]):
        points_mm = np.stack([np.full_like(j, i), j, k], axis=1) @ affine[:3, :3].T + affine[:3, 3]
        if found_at is not None:
            points_mm = found_at(points_mm)
        indices = np.rint(points_mm @ to_indices[:3, :3].T + to_indices[:3, 3]).astype(np.int64)
        within = ((indices >= 0) & (indices < label_map.shape)).all(axis=1)
        inside = tuple(indices[within].T)
        labels[i].reshape(-1)[within] = label_map.labels[inside]
        unknown[i].reshape(-1)[:] = ~within & (not complete)
        if label_map.unknown is not None:
            unknown[i].reshape(-1)[within] = label_map.unknown[inside]
    return LabelMap(labels, affine, unknown=unknown if unknown.any() else None)
