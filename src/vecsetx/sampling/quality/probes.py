"""Consistency tests: are the distances signed distances, and do they match the label map?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import label_of
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints

_STEEP_TOLERANCE_VOXELS = 0.1
"""Tolerance for the step between distances to triangles and distances to vertices, which is smaller
and lies four voxels from a surface."""

_SLOPE_RANGE_MM = (2.0, 6.0)
"""The slope is measured on points at these distances from the nearest surface point."""

_MIN_SLOPE_POINTS = 50

_MAX_SINE = 0.35
"""Maximum sine of the angle between the normal at the nearest surface point and the direction from
it to the point."""

_MIN_DISAGREEMENTS = 300
"""With fewer disagreeing points, chance alone would yield a shift of a tenth of a voxel."""

_NEIGHBOURS = 4
_MAX_POINTS = 30_000
"""Maximum number of points of each group that are tested. Points are stored in random order, so
that the first are representative."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between the labels that follow from distances and the labels of the voxels.

    Attributes:
        share: Share, 0…1, of the near and volume points with the same label by distance and by
            voxel. Less than 1 in every heart: smoothing moves walls by a fraction of a voxel.
        contradicting: Number of points that disagree farther than a voxel's diagonal from the walls
            of both structures (see :func:`contradicting`).
        points: Number of points compared.
        shift_voxels: ``[3]`` estimated shift of the points relative to their voxels, along each
            axis of the label map. Below 0.1 in sound hearts. A true shift of half a voxel yields
            0.3 to 0.5, less for thinner structures.
        by_structure: ``[K]`` share, 0…1, of the points in a structure's voxels that are inside the
            structure by distance as well; NaN for a structure without such points.
    """

    share: float
    contradicting: int
    points: int
    shift_voxels: Float[np.ndarray, " 3"]
    by_structure: Float[np.ndarray, " k"]


def agreement(samples: Samples, label_map: LabelMap) -> Agreement:
    """Compare labels by distance with the label map at each query point.

    Args:
        samples: The heart.
        label_map: Its label map, labels 1…K in the order of its structures, without specks.
    """
    points, distances, _ = _joined(samples.info, samples.near, samples.volume)
    by_distance, by_voxel = label_of(distances), label_map.at(points)
    same = by_distance == by_voxel
    count = len(samples.info.structures) + 1
    voxels = np.bincount(by_voxel, minlength=count)[1:]
    both = np.bincount(by_voxel[same], minlength=count)[1:]
    with np.errstate(invalid="ignore"):
        by_structure = both / voxels
    far = int(_contradicting(distances, by_distance, by_voxel, label_map).sum())
    shift = _shift_voxels(points, by_distance, label_map)
    return Agreement(float(same.mean()), far, len(points), shift, by_structure)


def contradicting(points: QueryPoints, label_map: LabelMap) -> Bool[np.ndarray, " n"]:
    """Find points whose labels by distance and by voxel differ more than smoothing explains.

    Such a point lies farther than a voxel's diagonal from the walls of both structures.
    """
    distances = points.distances_mm
    by_voxel = label_map.at(points.points_mm)
    return _contradicting(distances, label_of(distances), by_voxel, label_map)


def steep_shares(samples: Samples) -> Float[np.ndarray, " k"]:
    """Share of neighbouring points whose distances differ by more than the points are apart.

    This contradicts a signed distance, which is 1-Lipschitz everywhere, whether truncated or not.
    The neighbours of a point are its nearest among all surface, near and volume points. Only pairs
    with trusted distances count.

    Returns:
        ``[K]``, 0…1. In a sound heart 0, except for rounding (a tenth of a voxel is tolerated).
    """
    from pykdtree.kdtree import KDTree

    points, distances, trusted = _joined(
        samples.info, samples.surface, samples.near, samples.volume
    )
    neighbours = min(_NEIGHBOURS, len(points) - 1)
    apart, index = KDTree(points).query(points, k=neighbours + 1)  # the first is the point itself
    allowed = apart[:, 1:] + _STEEP_TOLERANCE_VOXELS * max(samples.info.spacing_mm)
    shares = []
    for distance, trust in zip(distances.T, trusted.T, strict=True):
        differ = np.abs(distance[index[:, 1:]] - distance[:, None])
        counted = trust[index[:, 1:]] & trust[:, None]
        shares.append(float((differ > allowed)[counted].mean()) if counted.any() else 0.0)
    return np.array(shares)


def slopes(samples: Samples) -> Float[np.ndarray, " k"]:
    """Change of each structure's signed distance per mm away from its surface.

    The slope is measured on points 2 to 6 mm from the structure's nearest surface point, if the
    direction from there, of length ``r``, is within 20° of its normal. The true distance then lies
    between ``r`` and the height ``e`` over the tangent plane, which is at least 0.94 ``r`` (except
    for the surface's curvature between its closest point and the nearest surface point). The slope
    is the median of ``d / ((e + r) / 2)``, where ``r`` takes the sign of ``e``, so that swapped
    signs give −1. It is accurate to 3% on spheres of 10 mm radius and more, and within 5% of 1 on
    phantoms and real hearts.

    Returns:
        ``[K]``, 1 in a sound heart; NaN for a structure with fewer than 50 such points, or with
        surface points more than 6 mm apart, of which the nearest says little of the surface.
    """
    from pykdtree.kdtree import KDTree

    info, surface = samples.info, samples.surface
    points, distances, trusted = _joined(info, samples.near, samples.volume)
    least, most = _SLOPE_RANGE_MM
    found = np.full(len(info.structures), np.nan)
    for k in range(len(info.structures)):
        # 1. Pairs of a point and its nearest surface point (foot), at a suitable distance.
        own = surface.structure == k
        if not own.any():
            continue
        feet, normals = surface.points_mm[own], surface.normals[own]
        chosen = np.flatnonzero(trusted[:, k])
        apart_mm = np.sqrt(info.areas_mm2[info.structures[k]] / len(feet))
        if not len(chosen) or apart_mm > most:
            continue
        away, foot = KDTree(feet).query(points[chosen], distance_upper_bound=most)
        in_range = (away >= least) & (away < most)
        chosen, away, foot = chosen[in_range], away[in_range], foot[in_range]
        # 2. Of these, pairs along the normal; compare their distance with the expected one.
        height = np.einsum("ni,ni->n", points[chosen] - feet[foot], normals[foot])
        straight = np.abs(height) >= away * np.sqrt(1 - _MAX_SINE**2)
        if straight.sum() >= _MIN_SLOPE_POINTS:
            expected = (height + np.copysign(away, height))[straight] / 2
            found[k] = np.median(distances[chosen[straight], k] / expected)
    return found


def _shift_voxels(
    points_mm: np.ndarray, by_distance: np.ndarray, label_map: LabelMap
) -> np.ndarray:
    """Estimate along each axis of the label map the shift of the points, in voxels.

    The number of points that disagree grows linearly with the distance from the shift at which the
    labels agree best. That shift follows from the numbers one voxel to either side. It is 0 where
    too few points disagree.
    """
    shifts = []
    # If moving the points by t gives the best agreement, the numbers are as 1 + t (before) to 1 − t
    # (after), and the points are shifted by −t.
    for step in label_map.affine[:3, :3].T:
        before, after = (
            np.count_nonzero(by_distance != label_map.at(points_mm + sign * step))
            for sign in (-1, 1)
        )
        enough = after + before >= _MIN_DISAGREEMENTS
        shifts.append((after - before) / (after + before) if enough else 0.0)
    return np.array(shifts)


def _contradicting(
    distances: np.ndarray, by_distance: np.ndarray, by_voxel: np.ndarray, label_map: LabelMap
) -> np.ndarray:
    """As :func:`contradicting`, with the labels already known."""
    diagonal_mm = float(np.linalg.norm(label_map.spacing_mm))
    # Label 0, outside every structure, has no wall of its own: its column is infinite.
    sizes = np.concatenate([np.full((len(distances), 1), np.inf), np.abs(distances)], axis=1)
    points = np.arange(len(sizes))
    to_walls = np.minimum(sizes[points, by_distance], sizes[points, by_voxel])
    return (by_distance != by_voxel) & (to_walls > diagonal_mm)


def _joined(
    info: HeartInfo, *groups: SurfacePoints | QueryPoints
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join the first points of several groups: places, distances, and which ones are trusted."""
    first = slice(_MAX_POINTS)
    points = np.concatenate([group.points_mm[first] for group in groups])
    distances = np.concatenate([group.distances_mm[first] for group in groups])
    trusted = np.concatenate([info.trusted(group)[first] for group in groups])
    return points, distances, trusted
