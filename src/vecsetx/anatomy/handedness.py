"""Handedness of a heart: whether it is mirrored, in whatever pose it lies."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

__all__ = ["handedness", "is_mirrored"]

_CORNERS = ("LV", "RV", "Aorta", "LA")

_CERTAIN = 0.13
"""Handedness of either sign that decides: half of the smallest one of real hearts."""


def handedness(centroids_mm: Mapping[str, np.ndarray]) -> float | None:
    """Return det(RV − LV, Aorta − LV, LA − LV) / s³ of the centroids.

    s is their mean distance from each other. Rotation, translation and scale change nothing, and a
    mirror changes the sign. It is positive in hearts as they are, and negative in mirrored ones:
    dextrocardia with situs inversus, or a file whose axis has the wrong sign.

    Args:
        centroids_mm: Structure → centroid ``[3]``, RAS+ mm. Others than LV, RV, Aorta and LA are
            ignored.

    Returns:
        None if one of the four is missing, or if all four lie in one place.
    """
    if not all(name in centroids_mm for name in _CORNERS):
        return None
    corners = np.array([centroids_mm[name] for name in _CORNERS], dtype=np.float64)
    mean_mm = np.mean([np.linalg.norm(a - b) for a, b in combinations(corners, 2)])
    if mean_mm == 0:
        return None
    return float(np.linalg.det((corners[1:] - corners[0]) / mean_mm))


def is_mirrored(centroids_mm: Mapping[str, np.ndarray]) -> bool | None:
    """Return whether a heart is mirrored; None if its centroids do not decide.

    Args:
        centroids_mm: As for :func:`handedness`.
    """
    found = handedness(centroids_mm)
    return None if found is None or abs(found) < _CERTAIN else found < 0
