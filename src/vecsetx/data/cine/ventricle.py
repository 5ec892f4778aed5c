"""Where the left ventricle of a prepared heart lies: the axes from which cine MRI is planned."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from vecsetx.sampling.heart_info import HeartInfo

__all__ = ["LeftVentricle", "Structures", "left_ventricle"]

_VALVE = 0.1
"""Share of the left ventricle's points that the mitral valve counts for: those nearest to LA."""

_OF_LEFT, _OF_ATRIUM = 1500, 500
"""Points of LV and LA that are enough to find it."""

_LENGTHS_MM = (10.0, 300.0)
"""Shortest and longest LV, from the valve to the apex; anything else is damaged."""

_LEAST_MM = 1.0
"""Distance of RV's middle from the long axis below which it shows no direction."""


@dataclass(frozen=True, slots=True)
class Structures:
    """What is known of a heart's K structures beside their points.

    Attributes:
        names: Their names.
        areas_mm2: ``[K]`` area of their surfaces; 0 of those that are absent.
        cut: ``[K]`` whether the scan cuts them.
    """

    names: tuple[str, ...]
    areas_mm2: Float[np.ndarray, " k"]
    cut: Bool[np.ndarray, " k"]

    @classmethod
    def of_info(cls, info: HeartInfo) -> "Structures":
        """Return what a prepared heart's file says of its structures."""
        areas_mm2 = np.array([info.areas_mm2[name] for name in info.structures])
        return cls(info.structures, areas_mm2, np.isin(info.structures, info.cut))


@dataclass(frozen=True, slots=True)
class LeftVentricle:
    """The left ventricle and its axes.

    Attributes:
        points_mm: Points on its surface, RAS+ mm.
        base_mm: Middle of the mitral valve, where the long axis begins.
        axes: Unit vectors at right angles: along the long axis from the apex to the base, towards
            the right ventricle, and towards the anterior wall.
    """

    points_mm: Float[np.ndarray, "n 3"]
    base_mm: Float[np.ndarray, "3"]
    axes: Float[np.ndarray, "3 3"]


def left_ventricle(
    points_mm: Float[np.ndarray, "n 3"],
    structure: Integer[np.ndarray, " n"],
    structures: Structures,
) -> LeftVentricle | None:
    """Find the left ventricle's axes from surface points.

    The long axis runs from the middle of the mitral valve, where LV is nearest to LA, to the point
    of LV that is farthest from it.

    Args:
        points_mm: RAS+ mm, in random order.
        structure: Index 0…K−1 of each point's structure.
        structures: The K structures.

    Returns:
        None if LV, LA or RV have no points, if the scan cuts LV, or if they lie as in no heart.
    """
    from scipy.spatial import cKDTree

    needed = ("LV", "LA", "RV")
    if not {*needed} <= {*structures.names}:
        return None
    numbers = [structures.names.index(name) for name in needed]
    left, atrium, right = (points_mm[structure == number].astype(float) for number in numbers)
    if not (len(left) and len(atrium) and len(right)) or structures.cut[numbers[0]]:
        return None
    some = left[:_OF_LEFT]
    to_atrium = cKDTree(atrium[:_OF_ATRIUM]).query(some)[0]
    base_mm = some[to_atrium <= np.quantile(to_atrium, _VALVE)].mean(axis=0)
    apex_mm = left[np.linalg.norm(left - base_mm, axis=1).argmax()]
    length_mm = np.linalg.norm(base_mm - apex_mm)
    if not _LENGTHS_MM[0] <= length_mm <= _LENGTHS_MM[1]:
        return None
    along = (base_mm - apex_mm) / length_mm
    to_right_mm = right.mean(axis=0) - base_mm
    aside_mm = to_right_mm - (to_right_mm @ along) * along
    if not np.linalg.norm(aside_mm) >= _LEAST_MM:
        return None
    septal = aside_mm / np.linalg.norm(aside_mm)
    return LeftVentricle(left, base_mm, np.stack([along, septal, np.cross(along, septal)]))
