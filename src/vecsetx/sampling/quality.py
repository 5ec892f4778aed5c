"""Whether a prepared heart is fit to learn from."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecsetx.anatomy.frame import DOMAIN
from vecsetx.anatomy.sign import inside
from vecsetx.sampling.samples import HeartInfo, Samples

SMALLEST_SHARE = 0.004
"""Share of each set's points that must lie on (surface) or inside (near, volume) every structure of
the heart: 200 of 50 000."""

LARGEST_SLIP_MM = 0.05
LARGEST_SLIPPED_SHARE = 0.005
"""The share of surface points that may lie farther than that inside another structure. Where three
structures meet, smoothing folds a few faces of the shared surface by a fraction of a voxel."""

INSIDE_SHARE = (0.25, 0.85)
"""Bounds on the share of near and volume points that lie inside some structure."""


@dataclass(frozen=True, slots=True)
class HeartQuality:
    """What was found in one heart's samples.

    Attributes:
        name: The heart.
        problems: Why it is not fit; empty if it is.
        volumes_ml: Volume per structure.
        inside_share: Share of the ``near`` and ``volume`` points inside some structure.
        points: Points per structure: on it (``surface``) and inside it (``near``, ``volume``).
        components: Pieces per structure.
        cut: Structures that reach the edge of the scan.
    """

    name: str
    problems: tuple[str, ...]
    volumes_ml: dict[str, float]
    inside_share: dict[str, float]
    points: dict[str, dict[str, int]]
    components: dict[str, int]
    cut: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the heart is fit to learn from."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with ``passed``."""
        return {**asdict(self), "passed": self.passed}


def heart_quality(samples: Samples) -> HeartQuality:
    """Look at a heart's samples: signs, agreement, coverage, balance, place."""
    info = samples.info
    near, volume = inside(samples.near.distances_mm), inside(samples.volume.distances_mm)
    drawn = np.bincount(samples.surface.structure, minlength=len(info.structures))
    points = {
        "surface": _by_name(info, drawn),
        "near": _by_name(info, near.sum(axis=0)),
        "volume": _by_name(info, volume.sum(axis=0)),
    }
    shares = {"near": _share(near), "volume": _share(volume)}
    problems = [
        *_not_numbers(samples),
        *_disagreements(samples),
        *_starved(samples, points),
        *_unbalanced(shares),
        *_out_of_place(samples),
    ]
    return HeartQuality(
        info.name,
        tuple(problems),
        dict(info.volumes_ml),
        shares,
        points,
        dict(info.components),
        info.cut,
    )


def _not_numbers(samples: Samples) -> list[str]:
    absent = np.array([samples.info.volumes_ml[name] == 0 for name in samples.info.structures])
    problems = []
    for group in ("surface", "near", "volume"):
        points = getattr(samples, group)
        if not np.isfinite(points.points_mm).all():
            problems.append(f"{group} points are not all finite")
        if not np.isfinite(points.distances_mm[:, ~absent]).all():
            problems.append(f"distances of {group} points are not all finite")
    return problems


def _disagreements(samples: Samples) -> list[str]:
    """Points inside two structures, or surface points well inside a structure."""
    problems = []
    for group in ("near", "volume"):
        doubly = int((inside(getattr(samples, group).distances_mm).sum(axis=1) > 1).sum())
        if doubly:
            problems.append(f"{doubly} {group} points lie inside two structures at once")
    slipped = _share(inside(samples.surface.distances_mm + LARGEST_SLIP_MM))
    if slipped > LARGEST_SLIPPED_SHARE:
        problems.append(
            f"{slipped:.1%} of surface points lie more than {LARGEST_SLIP_MM} mm inside a structure"
        )
    if not (np.abs(np.linalg.norm(samples.surface.normals, axis=1) - 1) < 1e-3).all():
        problems.append("normals are not of length 1")
    return problems


def _starved(samples: Samples, points: dict[str, dict[str, int]]) -> list[str]:
    problems = []
    for group, counts in points.items():
        fewest = SMALLEST_SHARE * len(getattr(samples, group).points_mm)
        for name, count in counts.items():
            if samples.info.volumes_ml[name] > 0 and count < fewest:
                problems.append(f"only {count} {group} points of {name} (at least {fewest:.0f})")
    return problems


def _unbalanced(shares: dict[str, float]) -> list[str]:
    low, high = INSIDE_SHARE
    return [
        f"{share:.0%} of {group} points lie inside (expected {low:.0%} to {high:.0%})"
        for group, share in shares.items()
        if not low <= share <= high
    ]


def _out_of_place(samples: Samples) -> list[str]:
    farthest = float(np.abs(samples.info.frame.to_unit(samples.surface.points_mm)).max())
    if farthest <= DOMAIN:
        return []
    reach = samples.info.frame.length_to_mm(DOMAIN)
    return [
        f"the heart reaches {samples.info.frame.length_to_mm(farthest):.0f} mm from its "
        f"centre, models see {reach:.0f} mm; crop long vessels or raise --mm-per-unit"
    ]


def _share(is_inside: np.ndarray) -> float:
    return float(is_inside.any(axis=1).mean())


def _by_name(info: HeartInfo, counts: np.ndarray) -> dict[str, int]:
    return {name: int(count) for name, count in zip(info.structures, counts, strict=True)}
