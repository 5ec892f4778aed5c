"""Hearts beside each other: which are unlike all others, and which are too much alike."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from vecsetx.sampling.quality.findings import THICKNESS_MM
from vecsetx.sampling.quality.measures import thicknesses_mm
from vecsetx.sampling.samples import HeartInfo

FEWEST_HEARTS = 8
"""With fewer hearts there is no telling what is usual."""

LARGEST_Z = 4.0
"""Beyond this score a value is an outlier."""

SMALLEST_SPREAD = 0.02
"""Hearts that are nearly the same spread by less; then this relative spread counts."""

SAME_WITHIN = 0.002
"""Two hearts whose volumes all are that near to each other, relatively, are taken for one."""

FEWEST_VOLUMES = 4
"""With fewer structures, volumes are the same by chance."""

Scores = dict[str, dict[str, float]]
"""Heart → structure → robust z-score."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Two hearts that are one: the same voxels, or ``alike`` in every volume."""

    first: str
    second: str
    alike: bool


def robust_z(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """How many standard deviations each value is off the median, where outliers do not count.

    On a logarithmic scale; the deviation is 1.4826 times the median of the absolute ones (Iglewicz
    and Hoaglin, How to Detect and Handle Outliers, 1993), at least :data:`SMALLEST_SPREAD`.

    Args:
        values: Positive.
    """
    logs = np.log(values)
    off = logs - np.median(logs)
    return off / max(1.4826 * float(np.median(np.abs(off))), SMALLEST_SPREAD)


def volume_scores(hearts: Mapping[str, HeartInfo]) -> Scores:
    """Scores of the volumes, structure by structure, of those that the scan does not cut."""
    return _scores(hearts, {name: info.volumes_ml for name, info in hearts.items()})


def thickness_scores(hearts: Mapping[str, HeartInfo]) -> Scores:
    """Scores of the mean thicknesses, as :func:`volume_scores`."""
    return _scores(hearts, {name: thicknesses_mm(info) for name, info in hearts.items()})


def outliers(
    info: HeartInfo, of_volume: Mapping[str, float], of_thickness: Mapping[str, float]
) -> list[str]:
    """Remarks on a heart whose scores are beyond :data:`LARGEST_Z`.

    Args:
        info: The heart.
        of_volume: Scores of its volumes.
        of_thickness: Scores of its thicknesses, of which those of walls count.
    """
    volumes = [
        f"{name} is unusually {'large' if z > 0 else 'small'}: "
        f"{1000 * info.volumes_ml[name]:,.0f} mm³ (z = {z:+.1f})"
        for name, z in of_volume.items()
        if abs(z) > LARGEST_Z
    ]
    thicknesses = thicknesses_mm(info)
    return volumes + [
        f"{name} is unusually {'thick' if z > 0 else 'thin'}: {thicknesses[name]:.1f} mm "
        f"(z = {z:+.1f})"
        for name, z in of_thickness.items()
        if name in THICKNESS_MM and abs(z) > LARGEST_Z
    ]


def twins(hearts: Mapping[str, HeartInfo]) -> list[Twins]:
    """Pairs of hearts that are the same.

    Either their content is the same; or they have the same structures (at least
    :data:`FEWEST_VOLUMES`) in as many pieces, and every volume is the same within
    :data:`SAME_WITHIN`: then one may be the other moved, turned or resampled.
    """
    by_content: dict[str, list[str]] = {}
    by_kind: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for name, info in hearts.items():
        by_content.setdefault(info.content, []).append(name)
        if len(info.structures) >= FEWEST_VOLUMES:
            by_kind.setdefault(tuple(sorted(info.components.items())), []).append(name)
    found = [
        Twins(first, second, alike=False)
        for same in by_content.values()
        for i, first in enumerate(same)
        for second in same[i + 1 :]
    ]
    for kind, names in by_kind.items():
        volumes = [[hearts[name].volumes_ml[structure] for structure, _ in kind] for name in names]
        pairs = cKDTree(np.log(volumes)).query_pairs(np.log1p(SAME_WITHIN), p=np.inf)
        found += [
            Twins(names[i], names[j], alike=True)
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
        if len(whole) < FEWEST_HEARTS:
            continue
        z = robust_z(np.array([values[name][structure] for name in whole]))
        for name, score in zip(whole, z.tolist(), strict=True):
            scores[name][structure] = score
    return scores
