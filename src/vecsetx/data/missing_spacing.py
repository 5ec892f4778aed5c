"""Spacing that got lost: voxels of exactly 1 mm that make a heart too small to be one."""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import WHOLE_HEART

__all__ = ["missing_spacing"]

_CHAMBERS = ("Myocardium", "LA", "LV", "RA", "RV")

_TOO_SMALL_ML = 60.0
"""Two chambers of an adult, or one and its myocardium, have more than this in any phase."""


def missing_spacing(label_map: LabelMap, structures: tuple[str, ...]) -> tuple[str, ...]:
    """Return a remark if the map's spacing is probably missing from its file; else nothing.

    Programs take a spacing of 1 mm where a header gives none. Vessels, or one chamber alone, may be
    small and tell nothing.

    Args:
        label_map: Labels 1…K.
        structures: Names of the K structures.
    """
    if not np.allclose(label_map.spacing_mm, 1.0, rtol=0, atol=1e-6):
        return ()
    volume_ml = np.count_nonzero(label_map.labels) * label_map.voxel_volume_mm3 / 1000
    if volume_ml >= _TOO_SMALL_ML:
        return ()
    present = {structures[k - 1] for k in np.unique(label_map.labels).tolist() if k}
    if WHOLE_HEART not in present and len(present.intersection(_CHAMBERS)) < 2:
        return ()
    return (
        f"voxels are 1 mm wide along every axis, and all structures together have {volume_ml:.3g} "
        "ml: the spacing is probably missing from the header",
    )
