"""Comparison of hearts with each other: outliers and duplicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict, Field

from vecsetx.sampling.quality.findings import THICKNESS_MM
from vecsetx.sampling.quality.measures import thicknesses_mm
from vecsetx.sampling.samples import HeartInfo

__all__ = [
    "MAX_Z",
    "MIN_HEARTS",
    "Duplicates",
    "Usual",
    "duplicates",
    "outliers",
    "usual_thicknesses",
    "usual_volumes",
    "whole_thicknesses_mm",
    "whole_volumes_ml",
    "z_scores",
]

MAX_Z = 4.0
"""A value with a robust z-score beyond ±:data:`MAX_Z` is an outlier."""

MIN_HEARTS = 8
"""Minimum number of hearts that define what is usual."""

_MIN_SPREAD = 0.02
"""Lower limit of the relative standard deviation, for hearts that are nearly identical."""

_SMALL = {8: 1.129, 9: 1.107}
"""Correction of the median absolute deviation of so few values (Croux and Rousseeuw 1992)."""

_DUPLICATE_TOLERANCE = 0.002
"""Two hearts are duplicates if all their volumes differ by less than this, relatively."""

_MIN_VOLUMES = 4
"""With fewer structures, volumes may match by chance."""


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


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for one measure of one structure, on a logarithmic scale.

    Attributes:
        median: Median of the hearts' values, in the unit of the measure.
        spread: Robust standard deviation of the values' logarithms, at least 0.02.
        hearts: Number of hearts that it comes from.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    # The bounds hold for values that are read: no exponential of them overflows.
    median: Annotated[float, Field(gt=1e-9, lt=1e9)]
    spread: Annotated[float, Field(gt=0, le=20)]
    hearts: Annotated[int, Field(ge=1, le=10**9)]

    @classmethod
    def of(cls, values: Float[np.ndarray, " n"]) -> "Usual":
        """Find what is usual among positive values.

        The robust standard deviation is 1.4826 times the median absolute deviation (Iglewicz and
        Hoaglin, How to Detect and Handle Outliers, 1993), times a factor that makes it unbiased in
        small cohorts (Croux and Rousseeuw, COMPSTAT 1992): one outlier moves neither median nor
        deviation, whereas it would inflate the standard deviation that judges it.
        """
        count, logs = len(values), np.log(values)
        median = float(np.median(logs))
        unbiased = _SMALL[count] if count in _SMALL else count / (count - 0.8)
        spread = 1.4826 * unbiased * float(np.median(np.abs(logs - median)))
        return cls(float(np.exp(median)), max(spread, _MIN_SPREAD), count)

    def z(self, value: float) -> float:
        """Robust z-score: deviation of a positive value from the median, in robust s.d."""
        return float(np.log(value / self.median) / self.spread)

    @property
    def limits(self) -> tuple[float, float]:
        """The values with z-scores of ±:data:`MAX_Z`."""
        return self.within(MAX_Z)

    def limit(self, z: float) -> float:
        """Return the limit of the z-score of a heart outside the cohort.

        Few hearts tell median and deviation badly. As in a prediction interval, Student's t takes
        the place of the normal distribution, and the median's own error is added.

        Args:
            z: The limit for a large cohort.
        """
        from scipy.special import ndtr, stdtrit

        if self.hearts < 2:
            return float("inf")
        rare = float(stdtrit(self.hearts - 1, ndtr(z)))
        return rare * float(np.sqrt(1 + 1 / self.hearts))

    def within(self, z: float) -> tuple[float, float]:
        """Return the values with z-scores of −z and z."""
        factor = float(np.exp(z * self.spread))
        return self.median / factor, self.median * factor


def usual_volumes(hearts: Mapping[str, HeartInfo]) -> dict[str, Usual]:
    """Structure → what is usual for its volume, ml.

    Structures that are whole, not cut by the field of view, in fewer than :data:`MIN_HEARTS` hearts
    are missing.
    """
    return _usual([whole_volumes_ml(info) for info in hearts.values()])


def usual_thicknesses(hearts: Mapping[str, HeartInfo]) -> dict[str, Usual]:
    """Structure → what is usual for its mean thickness, mm; as :func:`usual_volumes`."""
    return _usual([whole_thicknesses_mm(info) for info in hearts.values()])


def z_scores(values: Mapping[str, float], usual: Mapping[str, Usual]) -> dict[str, float]:
    """Structure → robust z-score of its value, for structures that have both."""
    return {name: usual[name].z(value) for name, value in values.items() if name in usual}


def outliers(
    info: HeartInfo, volumes: Mapping[str, Usual], thicknesses: Mapping[str, Usual]
) -> list[str]:
    """Return a doubt for each value of a heart whose robust z-score is beyond ±:data:`MAX_Z`.

    Args:
        info: The heart.
        volumes: What is usual for volumes.
        thicknesses: What is usual for thicknesses; only those of walls are used.
    """
    walls_mm = {name: mm for name, mm in whole_thicknesses_mm(info).items() if name in THICKNESS_MM}
    return [
        *_beyond(whole_volumes_ml(info), volumes, "ml", ("small", "large")),
        *_beyond(walls_mm, thicknesses, "mm", ("thin", "thick")),
    ]


def whole_volumes_ml(info: HeartInfo) -> dict[str, float]:
    """Volumes of the structures that the field of view does not cut, ml; all are positive."""
    return _whole(info, info.volumes_ml)


def whole_thicknesses_mm(info: HeartInfo) -> dict[str, float]:
    """Mean thicknesses of the structures that the field of view does not cut, mm."""
    return _whole(info, thicknesses_mm(info))


def _whole(info: HeartInfo, values: Mapping[str, float]) -> dict[str, float]:
    return {n: value for n, value in values.items() if n not in info.cut and value > 0}


def _usual(values: Sequence[Mapping[str, float]]) -> dict[str, Usual]:
    by_structure: dict[str, list[float]] = {}
    for of_heart in values:
        for name, value in of_heart.items():
            by_structure.setdefault(name, []).append(value)
    return {
        name: Usual.of(np.array(found))
        for name, found in by_structure.items()
        if len(found) >= MIN_HEARTS
    }


def _beyond(
    values: Mapping[str, float], usual: Mapping[str, Usual], unit: str, words: tuple[str, str]
) -> list[str]:
    """Return a sentence per value beyond the limits; ``words`` say too little and too much."""
    found = []
    for name, z in z_scores(values, usual).items():
        if abs(z) > MAX_Z:
            low, high = usual[name].limits
            found.append(
                f"{name} is unusually {words[z > 0]}: {_figure(values[name])} {unit}, and "
                f"{_figure(low)} to {_figure(high)} {unit} is usual among these "
                f"{usual[name].hearts} hearts (median {_figure(usual[name].median)} {unit}; "
                f"robust z {z:+.1f}, limit ±{MAX_Z:g})"
            )
    return found


def _figure(value: float) -> str:
    """Format a positive value with a decimal, and small ones with two digits."""
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def duplicates(hearts: Mapping[str, HeartInfo]) -> list[Duplicates]:
    """Find pairs of entries that are the same heart.

    Two entries are duplicates if their content is identical. They are also duplicates if they have
    the same structures (at least four) with the same numbers of pieces, and each volume agrees
    within 0.2%: one may be the other after translation, rotation or resampling.
    """
    from scipy.spatial import cKDTree

    by_content: dict[str, list[str]] = {}
    by_pieces: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for name, info in hearts.items():
        by_content.setdefault(info.content, []).append(name)
        if len(info.structures) >= _MIN_VOLUMES:
            by_pieces.setdefault(tuple(sorted(info.pieces.items())), []).append(name)
    # 1. Identical voxels.
    found = [
        Duplicates(first, second, by_volume=False)
        for same in by_content.values()
        for i, first in enumerate(same)
        for second in same[i + 1 :]
    ]
    # 2. Equal volumes. Relative differences are differences of logarithms, so a tree finds pairs.
    for pieces, names in by_pieces.items():
        volumes = [
            [hearts[name].volumes_ml[structure] for structure, _ in pieces] for name in names
        ]
        pairs = cKDTree(np.log(volumes)).query_pairs(np.log1p(_DUPLICATE_TOLERANCE), p=np.inf)
        found += [
            Duplicates(names[i], names[j], by_volume=True)
            for i, j in sorted(pairs)
            if hearts[names[i]].content != hearts[names[j]].content
        ]
    return found
