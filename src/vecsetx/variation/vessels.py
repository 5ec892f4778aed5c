"""Vessels that end elsewhere: how far a vessel is drawn differs between data sets."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.connected import number_pieces
from vecsetx.variation.resampled import box_of

__all__ = ["ROOTS", "cut_back"]

ROOTS = {"Aorta": "LV", "PA": "RV", "PV": "LA", "LAA": "LA", "Coronary": "Aorta"}
"""Vessel, or appendage → the structure that it springs from."""

_NEAR_MM = 10.0
"""The direction of a vessel at a point is that of its voxels within this distance."""

_FEW_VOXELS = 4
"""So few have no direction."""


def cut_back(
    label_map: LabelMap, vessel: int, root: int, tilt_deg: float, generator: np.random.Generator
) -> LabelMap:
    """Cut a vessel across at a random place, and leave out what is then apart from its root.

    Args:
        label_map: Labels 1…K.
        vessel: Label of the vessel.
        root: Label of the structure that it springs from.
        tilt_deg: Standard deviation of the angle between the cut and a cross-section.
        generator: Random numbers.

    Returns:
        The label map; the same if the cut severs nothing, or everything.
    """
    is_vessel = label_map.labels == vessel
    if not is_vessel.any():
        return label_map
    box = box_of(is_vessel)
    # 1. A plane across the vessel, at one of its voxels.
    voxels = np.argwhere(is_vessel[box])
    points_mm = voxels * label_map.spacing_mm
    center_mm = points_mm[generator.integers(len(points_mm))]
    near = points_mm[((points_mm - center_mm) ** 2).sum(axis=1) < _NEAR_MM**2]
    if len(near) < _FEW_VOXELS:
        return label_map
    normal = _tilted(np.linalg.eigh(np.cov(near.T))[1][:, -1], tilt_deg, generator)
    # 2. Leave out a slab about as thick as a voxel, where this vessel, not another part of it, is.
    offsets = points_mm - center_mm
    thickness_mm = float(np.abs(normal) @ label_map.spacing_mm)
    slab = np.abs(offsets @ normal) <= thickness_mm
    slab &= (offsets**2).sum(axis=1) < (2 * _NEAR_MM) ** 2
    left = is_vessel[box].copy()
    left[tuple(voxels[slab].T)] = False
    # 3. Keep the pieces that touch the root.
    pieces, count = number_pieces(left)
    touched = np.unique(pieces[ndimage.binary_dilation(label_map.labels[box] == root)])
    kept = np.isin(pieces, touched[touched > 0])
    if count < 2 or not kept.any():
        return label_map
    # The slab itself stays with them: its voxels next to a kept one.
    kept |= is_vessel[box] & ~left & ndimage.binary_dilation(kept)
    labels = label_map.labels.copy()
    labels[box][is_vessel[box] & ~kept] = 0
    return replace(label_map, labels=labels)


def _tilted(
    axis: Float[np.ndarray, "3"], tilt_deg: float, generator: np.random.Generator
) -> Float[np.ndarray, "3"]:
    tilted = axis + np.tan(np.radians(tilt_deg)) * generator.standard_normal(3)
    return np.asarray(tilted / np.linalg.norm(tilted))
