"""What is measured of a heart's samples: numbers, on which nobody judges here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from vecsetx.anatomy.sign import inside
from vecsetx.sampling.quality.probes import Agreement, slopes, steep_shares
from vecsetx.sampling.samples import HeartInfo, Samples

AROUND_MM = 2.0
"""So near to a structure's wall points should lie on both sides."""

State = Literal["present", "cut", "absent", "not annotated"]


@dataclass(frozen=True, slots=True)
class StructureQuality:
    """One structure of one heart; None for what is not known.

    Attributes:
        state: ``present``; ``cut``: present, and reaches the edge of the scan; ``absent``:
            annotated and not there; ``not annotated``: nothing is known.
        volume_ml: Volume within its surface.
        volume_z: Its robust z-score among the data set's hearts.
        components: Pieces.
        thickness_mm: ``2 V / A``: mean thickness, if it is a shell.
        thickness_z: Its robust z-score.
        points: On it (``surface``) and inside it (``near``, ``volume``).
        inside_share_near: Share inside of the near points within :data:`AROUND_MM` of its wall.
        slope: How fast its distance grows off its surface.
        steep_share: Share of neighbouring points whose distances differ too much.
        agreement: Share of the points in its voxels that lie inside it by distance.
    """

    state: State
    volume_ml: float | None = None
    volume_z: float | None = None
    components: int | None = None
    thickness_mm: float | None = None
    thickness_z: float | None = None
    points: Mapping[str, int] | None = None
    inside_share_near: float | None = None
    slope: float | None = None
    steep_share: float | None = None
    agreement: float | None = None

    @property
    def volume_mm3(self) -> float | None:
        """Volume within its surface."""
        return None if self.volume_ml is None else 1000 * self.volume_ml


@dataclass(frozen=True, slots=True)
class HeartQuality:
    """What was found in one heart.

    Attributes:
        name: The heart.
        problems: Why it is not fit; empty if it is.
        remarks: What is worth a look.
        not_done: Checks that could not be made, and why.
        structures: By name, all those of the data set.
        inside_share: Share of the ``near`` and ``volume`` points inside some structure; None if it
            is not known.
        agreement: Share of points whose label by distance is their voxel's.
        untrusted_share: Share of the distances that the scan's edge leaves unknown.
    """

    name: str
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    structures: Mapping[str, StructureQuality] = field(default_factory=dict)
    inside_share: Mapping[str, float | None] = field(
        default_factory=lambda: {"near": None, "volume": None}
    )
    agreement: float | None = None
    untrusted_share: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the heart is fit to learn from."""
        return not self.problems

    def with_more(
        self,
        problems: Iterable[str] = (),
        remarks: Iterable[str] = (),
        not_done: Iterable[str] = (),
    ) -> "HeartQuality":
        """The same with more found."""
        return replace(
            self,
            problems=(*self.problems, *problems),
            remarks=(*self.remarks, *remarks),
            not_done=(*self.not_done, *not_done),
        )


def thicknesses_mm(info: HeartInfo) -> dict[str, float]:
    """Mean thickness of each structure, taken as a shell: ``2 V / A``."""
    return {
        name: 2000 * info.volumes_ml[name] / info.areas_mm2[name]
        for name in info.structures
        if info.areas_mm2[name] > 0
    }


def measure_structures(samples: Samples, compared: Agreement | None) -> dict[str, StructureQuality]:
    """Measure each structure of a heart; what comes from other hearts is left None."""
    info, near = samples.info, samples.near
    count = len(info.structures)
    points = {
        "surface": np.bincount(samples.surface.structure, minlength=count),
        "near": inside(near.distances_mm).sum(axis=0),
        "volume": inside(samples.volume.distances_mm).sum(axis=0),
    }
    around = (np.abs(near.distances_mm) < AROUND_MM) & info.trusted(near)
    within = (inside(near.distances_mm) & around).sum(axis=0) / np.maximum(around.sum(axis=0), 1)
    slope, steep = slopes(samples), steep_shares(samples)
    thickness = thicknesses_mm(info)
    return {
        name: StructureQuality(
            state="cut" if name in info.cut else "present",
            volume_ml=info.volumes_ml[name],
            components=int(info.components[name]),
            thickness_mm=thickness.get(name),
            points={group: int(counts[k]) for group, counts in points.items()},
            inside_share_near=float(within[k]) if around[:, k].any() else None,
            slope=_number(slope[k]),
            steep_share=float(steep[k]),
            agreement=None if compared is None else _number(compared.by_structure[k]),
        )
        for k, name in enumerate(info.structures)
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
