"""Measurements on samples: do the distances behave as distances, and as the labels say?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pykdtree.kdtree import KDTree

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import label_of
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints

STEEP_TOLERANCE_VOXELS = 0.1
"""Distances to triangles and to vertices meet four voxels from a surface, in a lesser step."""

SLOPE_RANGE_MM = (2.0, 6.0)
"""Points this far from the nearest surface point tell the slope."""

FEWEST_SLOPE_POINTS = 50

_LARGEST_SINE = 0.35
"""Sine of the angle between the normal at the nearest surface point and the way from there."""

_FEWEST_DISAGREEMENTS = 300
"""With fewer, chance alone would shift points by a tenth of a voxel."""

_NEIGHBOURS = 4
_MOST_POINTS = 30_000
"""Points of each set that are looked at. They stand in random order, so these are like the rest."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How labels by distance agree with the voxels that the points lie in.

    Attributes:
        share: Share of the near and volume points where both say the same. Less than 1 in every
            heart: smoothing moves walls by a fraction of a voxel.
        astray: Points that disagree farther than a voxel's diagonal from every wall involved.
        points: Points that were compared.
        shift_voxels: ``[3]`` how far the points seem to lie off their voxels, along each axis of
            the label map. Below 0.1 in sound hearts; of half a voxel it tells 0.3 to 0.5, the less
            the thinner the structures are.
        by_structure: ``[K]`` of the points in a structure's voxels, the share that is inside it by
            distance too; NaN where no point is.
    """

    share: float
    astray: int
    points: int
    shift_voxels: Float[np.ndarray, " 3"]
    by_structure: Float[np.ndarray, " k"]


def agreement(samples: Samples, label_map: LabelMap) -> Agreement:
    """Compare labels by distance with the label map (1…K, without specks) at each query point."""
    points, distances, _ = _together(samples.info, samples.near, samples.volume)
    by_distance, by_voxel = label_of(distances), label_map.at(points)
    same = by_distance == by_voxel
    count = len(samples.info.structures) + 1
    voxels = np.bincount(by_voxel, minlength=count)[1:]
    both = np.bincount(by_voxel[same], minlength=count)[1:]
    with np.errstate(invalid="ignore"):
        by_structure = both / voxels
    far = int(_astray(distances, by_distance, by_voxel, label_map).sum())
    shift = _shift_voxels(points, by_distance, label_map)
    return Agreement(float(same.mean()), far, len(points), shift, by_structure)


def astray(points: QueryPoints, label_map: LabelMap) -> Bool[np.ndarray, " n"]:
    """Points whose label by distance is not their voxel's, and that by more than smoothing does.

    They lie farther than a voxel's diagonal from the wall of either structure.
    """
    distances = points.distances_mm
    by_voxel = label_map.at(points.points_mm)
    return _astray(distances, label_of(distances), by_voxel, label_map)


def steep_shares(samples: Samples) -> Float[np.ndarray, " k"]:
    """Share of pairs of neighbouring points whose distances differ more than the points are apart.

    A signed distance cannot: it is 1-Lipschitz, everywhere, with and without a bound on its size.
    The neighbours are those among surface, near and volume points. Only pairs of trusted distances
    count.

    Returns:
        ``[K]``, 0 in a sound heart but for rounding (:data:`STEEP_TOLERANCE_VOXELS` is allowed).
    """
    points, distances, trusted = _together(
        samples.info, samples.surface, samples.near, samples.volume
    )
    neighbours = min(_NEIGHBOURS, len(points) - 1)
    apart, index = KDTree(points).query(points, k=neighbours + 1)
    allowed = apart[:, 1:] + STEEP_TOLERANCE_VOXELS * max(samples.info.spacing_mm)
    shares = []
    for distance, trust in zip(distances.T, trusted.T, strict=True):
        differ = np.abs(distance[index[:, 1:]] - distance[:, None])
        counted = trust[index[:, 1:]] & trust[:, None]
        shares.append(float((differ > allowed)[counted].mean()) if counted.any() else 0.0)
    return np.array(shares)


def slopes(samples: Samples) -> Float[np.ndarray, " k"]:
    """How fast each structure's distance grows with the way off its surface; 1 in a sound heart.

    For a point 2 to 6 mm from the nearest of the structure's surface points, with the way ``r``
    there within 20° of its normal, the true distance lies between ``r`` and the height ``e`` over
    the tangent plane, which is at least 0.94 ``r``, but for the surface's curvature between foot
    and surface point. The slope is the median of ``d / ((e + r) / 2)``, with the sign of ``e``, so
    that swapped signs have slope −1. On spheres of 10 mm and more it is right to 3 %, on phantoms
    and real hearts it is found within 5 % of 1.

    Returns:
        ``[K]``; NaN where fewer than :data:`FEWEST_SLOPE_POINTS` points are in such a place.
    """
    info, surface = samples.info, samples.surface
    points, distances, trusted = _together(info, samples.near, samples.volume)
    least, most = SLOPE_RANGE_MM
    found = np.full(len(info.structures), np.nan)
    for k in range(len(info.structures)):
        own = surface.structure == k
        if not own.any():
            continue
        feet, normals = surface.points_mm[own], surface.normals[own]
        chosen = np.flatnonzero(trusted[:, k])
        if not len(chosen):
            continue
        way, foot = KDTree(feet).query(points[chosen], distance_upper_bound=most)
        in_range = (way >= least) & (way < most)
        chosen, way, foot = chosen[in_range], way[in_range], foot[in_range]
        height = np.einsum("ni,ni->n", points[chosen] - feet[foot], normals[foot])
        straight = np.abs(height) >= way * np.sqrt(1 - _LARGEST_SINE**2)
        if straight.sum() >= FEWEST_SLOPE_POINTS:
            middle = (height + np.copysign(way, height))[straight] / 2
            found[k] = np.median(distances[chosen[straight], k] / middle)
    return found


def _shift_voxels(
    points_mm: np.ndarray, by_distance: np.ndarray, label_map: LabelMap
) -> np.ndarray:
    """Where along each axis the labels would agree best.

    The share of points that disagree grows in proportion to the distance from there: from those one
    voxel to either side the place follows. 0 where there are too few to tell.
    """
    shifts = []
    for step in label_map.affine[:3, :3].T:
        before, after = (
            np.count_nonzero(by_distance != label_map.at(points_mm + sign * step))
            for sign in (-1, 1)
        )
        told = after + before >= _FEWEST_DISAGREEMENTS
        shifts.append((after - before) / (after + before) if told else 0.0)
    return np.array(shifts)


def _astray(
    distances: np.ndarray, by_distance: np.ndarray, by_voxel: np.ndarray, label_map: LabelMap
) -> np.ndarray:
    diagonal_mm = float(np.linalg.norm(label_map.spacing_mm))
    sizes = np.concatenate([np.full((len(distances), 1), np.inf), np.abs(distances)], axis=1)
    points = np.arange(len(sizes))
    to_walls = np.minimum(sizes[points, by_distance], sizes[points, by_voxel])
    return (by_distance != by_voxel) & (to_walls > diagonal_mm)


def _together(
    info: HeartInfo, *groups: SurfacePoints | QueryPoints
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, distances and trust of several sets, the first of each."""
    first = slice(_MOST_POINTS)
    points = np.concatenate([group.points_mm[first] for group in groups])
    distances = np.concatenate([group.distances_mm[first] for group in groups])
    trusted = np.concatenate([info.trusted(group)[first] for group in groups])
    return points, distances, trusted
