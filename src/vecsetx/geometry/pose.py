"""The pose of a heart: the rotation that turns it as a reference heart lies.

A model knows hearts in the pose in which it was trained. A heart from elsewhere may lie in any:
files exchange axes, and scans are oblique. Its chambers tell how it lies. The rotation that brings
their centroids closest to those of the reference heart has a closed form (Kabsch, Acta Crystallogr
A 1976;32:922-923). Where too few chambers are whole, their surfaces are matched point by point
(iterative closest points: Besl and McKay, IEEE TPAMI 1992;14:239-256), with the farthest points
left out, since the reference heart may end elsewhere. Vessels have no say as long as the chambers
suffice: how far a vessel goes is a convention of each data set.

Rotations are proper: they never mirror a heart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.frame import UPRIGHT, Rotation

__all__ = ["CHAMBERS", "POINTS", "Pose", "ReferenceHeart", "centroid_pose", "poses"]

CHAMBERS = ("Myocardium", "LV", "RV", "LA", "RA")
"""Structures that fix a pose. The centroids of three do, unless they lie in a line."""

POINTS = 1500
"""Points of each structure of a reference heart, about 3 mm apart."""

_FEWEST = 8
"""Points that a structure needs to be matched."""

_SPREAD_MM = 15.0
"""Spread of centroids, along the second of their principal axes, from which they fix a rotation."""

_FIRST_MATCHED, _MATCHED = 100, 300
"""Points of each structure that are matched in the first steps, and in the others."""

_KEPT = 0.9
"""Share of the points of a structure that is kept in each step, the closest."""

_FIRST_STEPS, _STEPS, _BEST = 15, 100, 4
"""Steps from every start, and further ones from the best starts."""

_STILL = 1e-5
"""Change of a rotation's matrix below which a step changes nothing more."""

_AROUND = 12
"""Starts around the longest axis of the centroids."""

_UNUSED = 0.1
"""Weight, in the starts, of the centroids of structures that are not matched."""

_APART_DEG = 20.0
"""Angle from which two rotations count as different poses."""


class Pose(NamedTuple):
    """How a heart lies.

    Attributes:
        rotation: Turns the heart as the reference heart lies.
        error_mm: Mean distance between matched centroids or surfaces after it.
        by: What was matched: ``centroids`` or ``surfaces``.
    """

    rotation: Rotation
    error_mm: float
    by: str


@dataclass(frozen=True)
class ReferenceHeart:
    """A heart in the pose in which a model was trained.

    Attributes:
        points_mm: Structure → points on its surface, uniform over its area, RAS+ mm.
    """

    points_mm: Mapping[str, Float[np.ndarray, "n 3"]]

    @cached_property
    def trees(self) -> Mapping[str, Any]:
        """Structure → a KDTree of its points, for nearest neighbours."""
        from scipy.spatial import KDTree

        return {name: KDTree(points) for name, points in self.points_mm.items()}

    @cached_property
    def centroids_mm(self) -> Mapping[str, Float[np.ndarray, "3"]]:
        """Structure → the mean of its points, float64."""
        return {name: _centroid(points) for name, points in self.points_mm.items()}

    @property
    def chambers(self) -> list[str]:
        """The chambers that it has."""
        return [name for name in CHAMBERS if name in self.points_mm]


def poses(
    reference: ReferenceHeart,
    points_mm: Float[np.ndarray, "n 3"],
    structure: Int[np.ndarray, " n"],
    names: tuple[str, ...],
    cut: Bool[np.ndarray, " k"] | None = None,
) -> list[Pose]:
    """Return the poses in which a heart may lie, the likeliest first.

    Args:
        reference: The reference heart.
        points_mm: Points on the heart's surfaces, uniform over each structure's area, RAS+ mm.
        structure: Index 0…K−1 of each point's structure.
        names: Names of the K structures.
        cut: Structures that the scan shows in part only; None: all are whole.

    Returns:
        One pose if the centroids of the chambers fix it; else up to four that match the surfaces
        best. Empty if heart and reference have no structure in common.
    """
    shown = {
        name: points
        for index, name in enumerate(names)
        if len(points := points_mm[structure == index]) >= _FEWEST and name in reference.points_mm
    }
    if not shown:
        return []
    whole = [name for name in shown if cut is None or not cut[names.index(name)]]
    # 1. The centroids of whole chambers.
    centroids_mm = {name: _centroid(shown[name]) for name in whole}
    if pose := centroid_pose(reference, centroids_mm):
        return [pose]
    # 2. The surfaces of chambers; of everything if they are of one side of the heart.
    used = [name for name in CHAMBERS if name in shown]
    if len(set(used) - {"Myocardium"}) < 2:
        used = list(shown)
    return _of_surfaces(reference, shown, used, whole)


def centroid_pose(
    reference: ReferenceHeart, centroids_mm: Mapping[str, Float[np.ndarray, "3"]]
) -> Pose | None:
    """Return the pose by the centroids of chambers.

    Args:
        reference: The reference heart.
        centroids_mm: Structure → centroid of its surface. Other structures than chambers, and those
            that the reference lacks, are ignored.

    Returns:
        None if they do not fix it: fewer than three, or nearly in a line.
    """
    chambers = [name for name in reference.chambers if name in centroids_mm]
    if len(chambers) < 3:
        return None
    found = np.array([centroids_mm[name] for name in chambers])
    wanted = np.array([reference.centroids_mm[name] for name in chambers])
    found, wanted = found - found.mean(axis=0), wanted - wanted.mean(axis=0)
    if min(np.linalg.svd(each, compute_uv=False)[1] for each in (found, wanted)) < _SPREAD_MM:
        return None
    rotation = _kabsch(found, wanted)
    error = np.linalg.norm(found @ rotation.T - wanted, axis=1)
    return Pose(_rows(rotation), float(error.mean()), "centroids")


def _of_surfaces(
    reference: ReferenceHeart, shown: Mapping[str, np.ndarray], used: list[str], whole: list[str]
) -> list[Pose]:
    """Return the poses by the surfaces of structures, the likeliest first.

    Args:
        reference: The reference heart.
        shown: Structure → points of the heart.
        used: Structures to match.
        whole: Structures that are shown whole.
    """
    size = _relative_size(reference, shown, [name for name in used if name in whole])
    scaled = {name: size * shown[name][:_MATCHED].astype(np.float64) for name in used}
    few = {name: points[:_FIRST_MATCHED] for name, points in scaled.items()}
    source = np.concatenate(list(scaled.values())).mean(axis=0)
    target = np.concatenate([reference.points_mm[name] for name in used]).mean(axis=0)
    starts = [_Fit(turn, target - turn @ source) for turn in _starts(reference, shown, used)]
    first = [_closer(reference, few, start, _FIRST_STEPS) for start in starts]
    best = [fit for _, fit in _different(reference, few, whole, first)[:_BEST]]
    fits = [_closer(reference, scaled, fit, _STEPS) for fit in best]
    return [
        Pose(_rows(fit.rotation), error_mm, "surfaces")
        for error_mm, fit in _different(reference, scaled, whole, fits)
    ]


def _starts(
    reference: ReferenceHeart, shown: Mapping[str, np.ndarray], used: list[str]
) -> list[np.ndarray]:
    """Return the rotations from which surfaces are matched.

    Of one structure, its principal axes are brought onto those of the reference's in all 24 ways
    that are rotations. Of several, the centroids fix a rotation, but for one about their longest
    axis, of which twelve are tried: cuts and conventions have moved some centroids.
    """
    from scipy.spatial.transform import Rotation as Turn

    if len(shown) == 1:
        own, wanted = shown[used[0]], reference.points_mm[used[0]]
        cube = Turn.create_group("O").as_matrix()
        return [_axes(wanted).T @ turn @ _axes(own) for turn in cube]
    found = np.array([_centroid(points) for points in shown.values()])
    wanted = np.array([reference.centroids_mm[name] for name in shown])
    weight = np.where(np.isin(list(shown), used), 1.0, _UNUSED)[:, None]
    weight /= weight.sum()
    found, wanted = found - (weight * found).sum(axis=0), wanted - (weight * wanted).sum(axis=0)
    onto = _kabsch(weight * found, wanted)
    angles = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    about = angles[:, None] * _axes(np.sqrt(weight) * wanted)[0]
    return [turn @ onto for turn in Turn.from_rotvec(about).as_matrix()]


def _axes(points: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Return the principal axes of points as the rows of a rotation, the longest first."""
    centred = points - _centroid(points)
    axes = np.linalg.svd(centred.astype(np.float64).T @ centred)[2]
    return np.asarray(axes * np.sign(np.linalg.det(axes)))


def _different(
    reference: ReferenceHeart,
    points: Mapping[str, np.ndarray],
    whole: list[str],
    fits: list["_Fit"],
) -> list[tuple[float, "_Fit"]]:
    """Return fits with their errors, mm, the best first; of nearly equal rotations, the best."""
    errors_mm = [_error_mm(reference, points, whole, fit) for fit in fits]
    kept: list[tuple[float, _Fit]] = []
    for error_mm, fit in sorted(zip(errors_mm, fits, strict=True), key=lambda pair: pair[0]):
        if all(_angle_deg(fit.rotation, other.rotation) > _APART_DEG for _, other in kept):
            kept.append((error_mm, fit))
    return kept


class _Fit(NamedTuple):
    """A rotation, followed by a shift, mm."""

    rotation: Float[np.ndarray, "3 3"]
    shift_mm: Float[np.ndarray, "3"]

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        return points_mm @ self.rotation.T + self.shift_mm


def _closer(
    reference: ReferenceHeart, points: Mapping[str, np.ndarray], fit: _Fit, steps: int
) -> _Fit:
    """Match points with the nearest ones of the same structure, and fit them, repeatedly.

    It ends early when a step changes nothing more.
    """
    for _ in range(steps):
        sources, targets, weights = [], [], []
        for name, own in points.items():
            distance, nearest = reference.trees[name].query(fit(own))
            kept = np.argsort(distance)[: max(round(_KEPT * len(own)), 3)]
            sources.append(own[kept])
            targets.append(reference.points_mm[name][nearest[kept]])
            weights.append(np.full(len(kept), 1 / len(kept)))  # each structure counts the same
        source, target = np.concatenate(sources), np.concatenate(targets).astype(np.float64)
        weight = np.concatenate(weights)[:, None] / len(points)
        source_mean, target_mean = (weight * source).sum(axis=0), (weight * target).sum(axis=0)
        rotation = _kabsch(weight * (source - source_mean), target - target_mean)
        before, fit = fit, _Fit(rotation, target_mean - rotation @ source_mean)
        if np.allclose(fit.rotation, before.rotation, rtol=0, atol=_STILL):
            break
    return fit


def _error_mm(
    reference: ReferenceHeart, points: Mapping[str, np.ndarray], whole: list[str], fit: _Fit
) -> float:
    """Return the mean distance between heart and reference, without the farthest points.

    Of a structure that is shown whole, every part of the reference's must be near, too.
    """
    from scipy.spatial import KDTree

    errors = []
    for name, own in points.items():
        placed = fit(own)
        errors.append(_trimmed(reference.trees[name].query(placed)[0]))
        if name in whole:
            errors.append(_trimmed(KDTree(placed).query(reference.points_mm[name])[0]))
    return float(np.mean(errors))


def _trimmed(distances: np.ndarray) -> float:
    kept = np.sort(distances)[: max(round(_KEPT * len(distances)), 1)]
    return float(kept.mean())


def _relative_size(
    reference: ReferenceHeart, shown: Mapping[str, np.ndarray], whole: list[str]
) -> float:
    """Return how large the reference heart's structures are, relative to those shown whole."""
    ratios = [np.log(_radius(reference.points_mm[name]) / _radius(shown[name])) for name in whole]
    return float(np.exp(np.mean(ratios))) if ratios else 1.0


def _centroid(points: np.ndarray) -> Float[np.ndarray, "3"]:
    return points.mean(axis=0, dtype=np.float64)


def _radius(points: np.ndarray) -> float:
    return float(np.sqrt(points.var(axis=0, dtype=np.float64).sum()))


def _kabsch(
    source: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "3 3"]:
    """Return the proper rotation R that minimises Σ |R·source − target|², both centred."""
    left, _, right = np.linalg.svd(target.T @ source)
    mirror = np.sign(np.linalg.det(left @ right))
    return np.asarray((left * [1.0, 1.0, mirror]) @ right)


def _angle_deg(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.spatial.transform import Rotation as Turn

    return float(np.degrees(Turn.from_matrix(one @ other.T).magnitude()))


def _rows(rotation: np.ndarray) -> Rotation:
    if np.allclose(rotation, np.eye(3), rtol=0, atol=1e-9):
        return UPRIGHT
    first, second, third = rotation.tolist()
    return tuple(first), tuple(second), tuple(third)
