"""Physical size of hearts: one that no heart has betrays a wrong unit or spacing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.limits import FARTHEST_MM, HEART_ML, VOXEL_MM
from vecsetx.suggestions import unknown

__all__ = [
    "SMALL_STRUCTURES",
    "UNITS_MM",
    "HeartSize",
    "check_coordinates",
    "check_spacing",
    "mm_per",
]

UNITS_MM: Mapping[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001}
"""Units that coordinates may be in, and the length of each in mm."""


class _Bounds(NamedTuple):
    """Bounds on the size of whatever structures a heart has.

    A wrong unit changes a volume by a factor of 1000 or more, so that bounds may be generous.

    Attributes:
        fewest_ml: Smallest volume of all structures together. Less is a shred of a structure if it
            is long, and else a wrong unit.
        most_ml: Largest volume.
        shred_mm: Least length of a shred.
        shortest_mm: Least length of points, which have no volume.
    """

    fewest_ml: float
    most_ml: float
    shred_mm: float
    shortest_mm: float


# Newborns' hearts hold 30 ml, one of their chambers 3 ml, and the largest hearts of adults 3 l.
_HEART = _Bounds(3.0, HEART_ML, 50.0, 17.0)
# Left atrial appendages hold 0.8 to 60 ml and are 16 to 60 mm long.
_SMALL = _Bounds(0.1, 500.0, 12.0, 4.0)
SMALL_STRUCTURES = frozenset({"LAA", "Coronary", "PV", "SVC", "IVC", "CS", "PML"})
"""Structures that are small in any heart: appendage, veins, thin vessels, papillary muscles."""


@dataclass(frozen=True, slots=True)
class HeartSize:
    """The size of a heart, or of some of its structures.

    Attributes:
        extent_mm: Sides ``[3]`` of the box around them.
        volume_ml: Volume of all structures together; None for points.
        structures: Names of those that are present.
    """

    extent_mm: tuple[float, float, float]
    volume_ml: float | None
    structures: frozenset[str]

    @classmethod
    def of_label_map(cls, label_map: LabelMap, structures: Sequence[str]) -> "HeartSize":
        """Return the size of the structures in a label map with labels 1…K, which is not empty."""
        foreground = label_map.labels[label_map.bounding_box()]
        voxels = np.bincount(foreground.ravel(), minlength=len(structures) + 1)[1:]
        return cls.of(
            np.array(foreground.shape) * label_map.spacing_mm,
            float(voxels.sum() * label_map.voxel_volume_mm3) / 1000,
            (name for name, count in zip(structures, voxels, strict=True) if count),
        )

    @classmethod
    def of(
        cls, extent_mm: np.ndarray, volume_ml: float | None, structures: Iterable[str]
    ) -> "HeartSize":
        """Return the size of structures in a box with sides ``[3]``."""
        r, a, s = (float(side) for side in extent_mm)
        return cls((r, a, s), volume_ml, frozenset(structures))

    def is_possible(self) -> bool:
        """Return whether a human heart, or its structures, may have this size."""
        bounds = _SMALL if self.structures <= SMALL_STRUCTURES else _HEART
        longest_mm = max(self.extent_mm)
        if self.volume_ml is None:
            return bounds.shortest_mm <= longest_mm <= FARTHEST_MM
        is_shred = longest_mm >= bounds.shred_mm
        return self.volume_ml <= bounds.most_ml and (self.volume_ml >= bounds.fewest_ml or is_shred)

    def scaled(self, factor: float) -> "HeartSize":
        """Return the size with all lengths multiplied."""
        r, a, s = self.extent_mm
        volume_ml = None if self.volume_ml is None else self.volume_ml * factor**3
        return replace(self, extent_mm=(r * factor, a * factor, s * factor), volume_ml=volume_ml)

    def __str__(self) -> str:
        """Return the size in words."""
        extent = _lengths(self.extent_mm)
        return extent if self.volume_ml is None else f"{extent}, {self.volume_ml:.3g} ml"


def mm_per(units: str, source: Path) -> float:
    """Return the length of a unit in mm.

    Args:
        units: ``mm``, ``cm``, ``m`` or ``um``.
        source: The file, for error messages.

    Raises:
        InputError: It is none of these.
    """
    if units not in UNITS_MM:
        raise InputError(f"{source}: {unknown('unit', units, UNITS_MM)}")
    return UNITS_MM[units]


def check_coordinates(size: HeartSize, units: str, source: Path) -> None:
    """Check the size of meshes or points, whose files do not specify a unit.

    Args:
        size: The size, in the unit given.
        units: The unit that they were read in.
        source: The file or folder, for error messages.

    Raises:
        InputError: No heart has this size, or a piece lies far from it. The message names the unit
            that would fit.
    """
    if not size.is_possible():
        fitting = {
            unit: scaled
            for unit, mm in UNITS_MM.items()
            if (scaled := size.scaled(mm / UNITS_MM[units])).is_possible()
        }
        remedy = "scale it to millimetres"
        if fitting:
            unit, scaled = next(iter(fitting.items()))
            remedy = f"if its coordinates are in {unit}, give --units {unit} (then {scaled})"
        raise InputError(f"{source}: {_impossible(size)} (read in {units}); {remedy}")
    if max(size.extent_mm) > FARTHEST_MM:
        raise InputError(
            f"{source}: its structures spread over {_lengths(size.extent_mm)}, though they hold "
            f"only {size.volume_ml:.3g} ml; remove what lies far from the heart"
        )


def check_spacing(size: HeartSize, spacing_mm: np.ndarray, source: Path) -> None:
    """Check the size of a heart in voxels, and that of the voxels.

    Args:
        size: The size, by the spacing in the header.
        spacing_mm: Voxel size along each axis, ``[3]`` mm.
        source: The file or folder, for error messages.

    Raises:
        InputError: No heart has this size, or voxels are smaller than 0.02 mm or larger than 20 mm.
    """
    header = f"the header's spacing of {_lengths(spacing_mm)}"
    if not size.is_possible():
        remedy = _remedy(size, spacing_mm)
        raise InputError(f"{source}: {_impossible(size)}; check {header}, {remedy}")
    low, high = VOXEL_MM
    if not ((spacing_mm.round(6) >= low) & (spacing_mm.round(6) <= high)).all():
        raise InputError(
            f"{source}: a voxel measures {low:g} to {high:g} mm along each axis; correct {header}, "
            "or resample the image"
        )


def _remedy(size: HeartSize, spacing_mm: np.ndarray) -> str:
    if (spacing_mm == 1).all():
        return "which stands for none: give the scan's"
    for unit, mm in UNITS_MM.items():
        if size.scaled(mm).is_possible():
            true = _lengths(spacing_mm * mm)
            return f"which may be in {unit}: correct it to {true}, or the unit that the header says"
    return "and correct it"


def _impossible(size: HeartSize) -> str:
    return f"no heart has its size, {size}"


def _lengths(lengths_mm: Iterable[float]) -> str:
    sides = (f"{mm:.3g}" if mm < 1000 else f"{mm:.0f}" for mm in lengths_mm)
    return f"{' × '.join(sides)} mm"
