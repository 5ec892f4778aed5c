"""Length and radii of a vessel, along its centrelines."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from vecsetx.geometry.voxelize import voxelize_surfaces
from vecsetx.measures.centerlines import Branch, along, branches_of
from vecsetx.measures.measured import Measured, unknown
from vecsetx.measures.triangles import Triangles

__all__ = ["VESSEL", "measure_vessel"]

VESSEL = ("length_mm", "radius_mm", "smallest_radius_mm", "largest_radius_mm")
"""Names of the numbers of a vessel."""

_VOXELS = 60_000
"""A vessel's middle is found on about this many voxels: wide ones need no fine grid."""

_VOXEL_MM = 0.5
"""Smallest voxel."""

_CAP = 0.3
"""What lies nearer to a vessel's end than this share of its radius is no wall: the end may be
oblique."""

_MOST_OFF = 1.25
"""Where tubes along the centrelines have another volume than the vessel by more than this factor,
their centrelines and radii say nothing of it."""


def measure_vessel(surface: Triangles, volume_ml: float) -> dict[str, Measured]:
    """Measure a vessel, and all its branches.

    The length is that of all centrelines; a branch begins on the centreline of the vessel that it
    leaves. A radius is the distance of the wall from the centreline, and local ones are means over
    a stretch as long as the vessel is wide; ends do not count.

    Returns:
        The numbers of :data:`VESSEL`.
    """
    voxel_mm = max((1000 * volume_ml / _VOXELS) ** (1 / 3), _VOXEL_MM)
    voxels = voxelize_surfaces([(surface.vertices_mm, surface.faces)], voxel_mm)
    branches = branches_of(voxels.labels > 0, voxel_mm, voxels.affine[:3, 3])
    if not branches:
        return unknown(VESSEL, "it is too thin to have a centreline here")
    walls = _walls(surface, branches)
    tube_ml = walls.tube_mm3 / 1000
    if not 1 / _MOST_OFF < tube_ml / volume_ml < _MOST_OFF:
        return unknown(VESSEL, "it is no tube: too short for its width, or of another shape")
    values = (
        math.fsum(branch.length_mm for branch in branches),
        walls.mean_mm,
        walls.local_mm.min(),
        walls.local_mm.max(),
    )
    return {name: Measured(float(value)) for name, value in zip(VESSEL, values, strict=True)}


@dataclass(frozen=True, slots=True)
class _Walls:
    """Radii of a vessel.

    Attributes:
        mean_mm: Mean over its wall.
        local_mm: ``[S]`` mean of each stretch of a branch.
        tube_mm3: Volume of tubes with these radii.
    """

    mean_mm: float
    local_mm: np.ndarray
    tube_mm3: float


def _walls(surface: Triangles, branches: list[Branch]) -> _Walls:
    points_mm = np.concatenate([branch.points_mm for branch in branches])
    along_mm = np.concatenate([along(branch.points_mm) for branch in branches])
    of_branch = np.repeat(np.arange(len(branches)), [len(b.points_mm) for b in branches])
    # 1. Each triangle belongs to the nearest point of a centreline; caps, to its ends.
    distance_mm, nearest = cKDTree(points_mm).query(surface.centers_mm)
    from_end_mm = np.concatenate([_from_end_mm(branch) for branch in branches])[nearest]
    wall = from_end_mm > _CAP * distance_mm
    if not wall.any():
        return _Walls(math.nan, np.full(1, math.nan), 0.0)
    distance_mm, nearest, areas_mm2 = distance_mm[wall], nearest[wall], surface.areas_mm2[wall]
    mean_mm = float((areas_mm2 * distance_mm).sum() / areas_mm2.sum())
    # 2. Stretches as long as the vessel is wide, on average.
    key = np.stack([of_branch, along_mm // (2 * mean_mm)], axis=1)
    _, stretch = np.unique(key, axis=0, return_inverse=True)
    count = stretch.max() + 1
    area_mm2 = np.bincount(stretch[nearest], areas_mm2, count)
    total = np.bincount(stretch[nearest], areas_mm2 * distance_mm, count)
    local_mm = total / np.maximum(area_mm2, 1e-12)
    length_mm = np.bincount(stretch, np.concatenate([_steps_mm(b) for b in branches]), count)
    # 3. Where a branch leaves another, and at ends, little of the wall is its own.
    whole = area_mm2 > np.pi * local_mm * np.maximum(length_mm, mean_mm)
    tube_mm3 = float((np.pi * local_mm**2 * length_mm).sum())
    return _Walls(mean_mm, local_mm[whole] if whole.any() else np.array([mean_mm]), tube_mm3)


def _steps_mm(branch: Branch) -> np.ndarray:
    """Return the length of the centreline that each of its points stands for."""
    return np.gradient(along(branch.points_mm))


def _from_end_mm(branch: Branch) -> np.ndarray:
    """Return the way from each point to the nearest end that lies on the vessel's surface."""
    way_mm = along(branch.points_mm)
    from_last_mm = way_mm[-1] - way_mm
    return from_last_mm if branch.begins_in_parent else np.minimum(way_mm, from_last_mm)
