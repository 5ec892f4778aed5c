"""Whether the left ventricle is labelled as far along its wall in every frame."""

import statistics
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from vecsetx.anatomy.label_map import LabelMap

__all__ = ["short_cavities"]

_FARTHER_MM = 10.0
"""How much farther the wall may lie from the cavity than in the other frames. Walls of beating
phantoms lie 8 to 9 mm from it at end diastole and 12 mm at end systole; without the upper half of
its label, 30 mm."""

_PERCENTILE = 95
"""Of the wall's voxels, so that an apex without cavity does not count."""

_MOST_VOXELS = 1_000_000
"""Voxels around a frame's ventricle that are looked at; of larger ones, every second or third."""


def short_cavities(maps: Mapping[int, LabelMap], structures: tuple[str, ...]) -> str:
    """Say in which frames the LV's label ends far from parts of its wall.

    Args:
        maps: Number of a frame → its map, with labels 1…K; all on one grid.
        structures: Names of the K structures.

    Returns:
        A sentence; empty if there is no such frame, or fewer than two show both.
    """
    if not {"LV", "Myocardium"} <= set(structures):
        return ""
    wall, cavity = structures.index("Myocardium") + 1, structures.index("LV") + 1
    found = {number: _away_mm(one, wall, cavity) for number, one in maps.items()}
    away_mm = {number: mm for number, mm in found.items() if mm is not None}
    short = []
    for number, mm in away_mm.items():
        others = [other for k, other in away_mm.items() if k != number]
        if others and mm > statistics.median(others) + _FARTHER_MM:
            short.append(f"frame {number} ({mm:.0f} mm; others: {statistics.median(others):.0f})")
    if not short:
        return ""
    return (
        "parts of the myocardium lie farther from the LV's label than in the other frames, as "
        f"where that label ends too early: {', '.join(short)}; look at it, as ejection fractions "
        "may be wrong"
    )


def _away_mm(one: LabelMap, wall: int, cavity: int) -> float | None:
    """Return how far the wall's farthest voxels lie from the cavity; None if either is missing."""
    kept = np.where(np.isin(one.labels, (wall, cavity)), one.labels, 0).astype(np.uint8)
    ventricle = replace(one, labels=kept, unknown=None).cropped()
    stride = int(np.ceil(np.cbrt(ventricle.labels.size / _MOST_VOXELS)))
    if stride == 0:  # it is empty
        return None
    ventricle = ventricle.downsampled(stride)
    if not ((ventricle.labels == wall).any() and (ventricle.labels == cavity).any()):
        return None
    spacing_mm = np.linalg.norm(ventricle.affine[:3, :3], axis=0)
    away_mm = distance_transform_edt(ventricle.labels != cavity, sampling=spacing_mm)
    return float(np.percentile(away_mm[ventricle.labels == wall], _PERCENTILE))
