"""Comparison of hearts with each other: outliers and duplicates."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from vecsetx.sampling.quality.findings import THICKNESS_MM
from vecsetx.sampling.quality.measures import thicknesses_mm
from vecsetx.sampling.samples import HeartInfo

__all__ = [
    "MAX_Z",
    "Duplicates",
    "Scores",
    "duplicates",
    "outliers",
    "robust_z",
    "thickness_scores",
    "volume_scores",
]

MAX_Z = 4.0
"""A value with a robust z-score beyond ±:data:`MAX_Z` is an outlier."""

_MIN_HEARTS = 8
"""Minimum number of hearts that define what is usual."""

_MIN_SPREAD = 0.02
"""Lower limit of the relative standard deviation, for hearts that are nearly identical."""

_DUPLICATE_TOLERANCE = 0.002
"""Two hearts are duplicates if all their volumes differ by less than this, relatively."""

_MIN_VOLUMES = 4
"""With fewer structures, volumes may match by chance."""

Scores = dict[str, dict[str, float]]
"""Heart → structure → robust z-score."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Two entries that are the same heart.

    Attributes:
        first: Name of one heart.
        second: Name of the other.
        by_volume: Whether only their volumes match; False if their voxels are identical.
    """

    first: str
    second: str
    by_volume: bool


def robust_z(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Robust z-score of each value: its deviation from the median in robust standard deviations.

    Values are compared on a logarithmic scale. The robust standard deviation is 1.4826 times the
    median absolute deviation (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), at
    least 0.02.

    Args:
        values: Positive values.
    """
    logs = np.log(values)
    off = logs - np.median(logs)
    return off / max(1.4826 * float(np.median(np.abs(off))), _MIN_SPREAD)


def volume_scores(hearts: Mapping[str, HeartInfo]) -> Scores:
    """Robust z-scores of the volumes, separately for each structure.

    Structures cut by the field of view and structures that are whole in fewer than eight hearts
    have no score.
    """
    return _scores(hearts, {name: info.volumes_ml for name, info in hearts.items()})


def thickness_scores(hearts: Mapping[str, HeartInfo]) -> Scores:
    """Robust z-scores of the mean thicknesses (``2 V / A``), as :func:`volume_scores`."""
    return _scores(hearts, {name: thicknesses_mm(info) for name, info in hearts.items()})


def outliers(
    info: HeartInfo, of_volume: Mapping[str, float], of_thickness: Mapping[str, float]
) -> list[str]:
    """Return a remark for each value of a heart whose score is beyond ±:data:`MAX_Z`.

    Args:
        info: The heart.
        of_volume: Scores of its volumes.
        of_thickness: Scores of its thicknesses; only those of walls are used.
    """
    volumes = [
        f"{name} is unusually {'large' if z > 0 else 'small'}: "
        f"{1000 * info.volumes_ml[name]:,.0f} mm³ (z = {z:+.1f})"
        for name, z in of_volume.items()
        if abs(z) > MAX_Z
    ]
    thicknesses = thicknesses_mm(info)
    return volumes + [
        f"{name} is unusually {'thick' if z > 0 else 'thin'}: {thicknesses[name]:.1f} mm "
        f"(z = {z:+.1f})"
        for name, z in of_thickness.items()
        if name in THICKNESS_MM and abs(z) > MAX_Z
    ]


def duplicates(hearts: Mapping[str, HeartInfo]) -> list[Duplicates]:
    """Find pairs of entries that are the same heart.

    Two entries are duplicates if their content is identical. They are also duplicates if they have
    the same structures (at least four) with the same numbers of components, and each volume agrees
    within 0.2 %: one may be the other after translation, rotation or resampling.
    """
    by_content: dict[str, list[str]] = {}
    by_components: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for name, info in hearts.items():
        by_content.setdefault(info.content, []).append(name)
        if len(info.structures) >= _MIN_VOLUMES:
            by_components.setdefault(tuple(sorted(info.components.items())), []).append(name)
    # 1. Identical voxels.
    found = [
        Duplicates(first, second, by_volume=False)
        for same in by_content.values()
        for i, first in enumerate(same)
        for second in same[i + 1 :]
    ]
    # 2. Equal volumes. Relative differences are differences of logarithms, so a tree finds pairs.
    for components, names in by_components.items():
        volumes = [
            [hearts[name].volumes_ml[structure] for structure, _ in components] for name in names
        ]
        pairs = cKDTree(np.log(volumes)).query_pairs(np.log1p(_DUPLICATE_TOLERANCE), p=np.inf)
        found += [
            Duplicates(names[i], names[j], by_volume=True)
            for i, j in sorted(pairs)
            if hearts[names[i]].content != hearts[names[j]].content
        ]
    return found


def _scores(hearts: Mapping[str, HeartInfo], values: Mapping[str, Mapping[str, float]]) -> Scores:
    scores: Scores = {name: {} for name in hearts}
    for structure in {name: None for info in hearts.values() for name in info.structures}:
        whole = [
            name
            for name, info in hearts.items()
            if structure not in info.cut and values[name].get(structure, 0) > 0
        ]
        if len(whole) < _MIN_HEARTS:
            continue
        z = robust_z(np.array([values[name][structure] for name in whole]))
        for name, score in zip(whole, z.tolist(), strict=True):
            scores[name][structure] = score
    return scores
