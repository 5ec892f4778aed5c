"""Measurements of a heart's samples; ``findings.py`` judges them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from vecsetx.anatomy.sign import inside
from vecsetx.sampling.quality.probes import Agreement, slopes, steep_shares
from vecsetx.sampling.samples import HeartInfo, Samples

NEAR_WALL_MM = 2.0
"""Within this distance of a structure's wall, points should lie on both sides."""

State = Literal["present", "cut", "absent", "not annotated"]

Fitness = Literal["fit", "look", "unfit"]
"""A heart, or a data set: fit for training; fit, but a person should look at it; or unfit."""


@dataclass(frozen=True, slots=True)
class StructureQuality:
    """Measurements of one structure of one heart; None where a value is unknown.

    Attributes:
        state: ``present``; ``cut``: present, but cut by the field of view; ``absent``: annotated,
            but does not occur; ``not annotated``: nothing is known.
        volume_ml: Volume enclosed by its surface.
        volume_z: Robust z-score of the volume among the data set's hearts.
        pieces: Number of connected pieces.
        thickness_mm: ``2 V / A``, twice the volume over the area: the mean thickness of a shell.
        thickness_z: Robust z-score of the thickness among the data set's hearts.
        points: Number of points on it (``surface``) and inside it (``near``, ``volume``).
        inside_share_near: Share, 0…1, of the near points within :data:`NEAR_WALL_MM` of its wall
            that lie inside.
        slope: Change of its signed distance per mm away from its surface; 1 in a sound heart.
        steep_share: Share, 0…1, of neighbouring points whose distances differ by more than the
            points are apart.
        agreement: Share, 0…1, of the points in its voxels that its distance puts inside it.
    """

    state: State
    volume_ml: float | None = None
    volume_z: float | None = None
    pieces: int | None = None
    thickness_mm: float | None = None
    thickness_z: float | None = None
    points: Mapping[str, int] | None = None
    inside_share_near: float | None = None
    slope: float | None = None
    steep_share: float | None = None
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class HeartQuality:
    """Result of checking one heart.

    Attributes:
        name: The heart's name.
        problems: Why it is unfit for training; empty if it is fit.
        doubts: What a person should look at, because it changes results or is unusual.
        remarks: What is worth knowing and needs no look.
        not_done: Checks that were not possible, and why.
        structures: Measurements by name, for all structures of the data set.
        inside_share: Share, 0…1, of the ``near`` and ``volume`` points inside any structure; None
            if unknown.
        agreement: Share, 0…1, of points whose label by distance equals the label of their voxel.
        untrusted_share: Share, 0…1, of the distances that are unknown because the field of view
            ends.
    """

    name: str
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    structures: Mapping[str, StructureQuality] = field(default_factory=dict)
    inside_share: Mapping[str, float | None] = field(
        default_factory=lambda: {"near": None, "volume": None}
    )
    agreement: float | None = None
    untrusted_share: float | None = None

    @property
    def state(self) -> Fitness:
        """``unfit`` with any problem; otherwise ``look`` with any doubt; otherwise ``fit``."""
        return "unfit" if self.problems else "look" if self.doubts else "fit"

    def with_more(
        self,
        problems: Iterable[str] = (),
        doubts: Iterable[str] = (),
        remarks: Iterable[str] = (),
        not_done: Iterable[str] = (),
    ) -> "HeartQuality":
        """Return a copy with further problems, doubts, remarks and checks not done."""
        return replace(
            self,
            problems=(*self.problems, *problems),
            doubts=(*self.doubts, *doubts),
            remarks=(*self.remarks, *remarks),
            not_done=(*self.not_done, *not_done),
        )


def thicknesses_mm(info: HeartInfo) -> dict[str, float]:
    """Mean thickness of each structure, treated as a shell: ``2 V / A``, mm."""
    return {
        name: 2000 * info.volumes_ml[name] / info.areas_mm2[name]
        for name in info.structures
        if info.areas_mm2[name] > 0
    }


def measure_structures(samples: Samples, compared: Agreement | None) -> dict[str, StructureQuality]:
    """Measure each structure of a heart.

    Scores relative to other hearts (``volume_z``, ``thickness_z``) are left None.

    Args:
        samples: The heart.
        compared: Comparison with the label map; None if there is no label map.
    """
    info, near = samples.info, samples.near
    count = len(info.structures)
    points = {
        "surface": np.bincount(samples.surface.structure, minlength=count),
        "near": inside(near.distances_mm).sum(axis=0),
        "volume": inside(samples.volume.distances_mm).sum(axis=0),
    }
    # Only trusted distances count: the others are lower bounds, so that the wall may be far away.
    at_wall = (np.abs(near.distances_mm) < NEAR_WALL_MM) & info.trusted(near)
    inner = (inside(near.distances_mm) & at_wall).sum(axis=0) / np.maximum(at_wall.sum(axis=0), 1)
    slope, steep = slopes(samples), steep_shares(samples)
    thickness = thicknesses_mm(info)
    return {
        name: StructureQuality(
            state="cut" if name in info.cut else "present",
            volume_ml=info.volumes_ml[name],
            pieces=int(info.pieces[name]),
            thickness_mm=thickness.get(name),
            points={group: int(counts[k]) for group, counts in points.items()},
            inside_share_near=float(inner[k]) if at_wall[:, k].any() else None,
            slope=_number(slope[k]),
            steep_share=float(steep[k]),
            agreement=None if compared is None else _number(compared.by_structure[k]),
        )
        for k, name in enumerate(info.structures)
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
