"""What is known of a prepared heart beside its points."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from pydantic import ConfigDict

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.structures import StructureName
from vecsetx.geometry.view import known_mm
from vecsetx.limits import FARTHEST_MM, HEART_ML
from vecsetx.names import Name
from vecsetx.plain_data import PlainDataError, validated, validator

__all__ = ["HeartInfo"]

_MOST_ML = 2 * HEART_ML
"""Largest volume of a structure; that inside a smooth surface differs from that of its voxels."""

_MOST_MM2 = 1e7
"""Largest area of a structure's surface, of which that of a heart is a hundredth."""


@runtime_checkable
class _Points(Protocol):
    """Points with distances to all structures."""

    @property
    def distances_mm(self) -> Float[np.ndarray, "n k"]: ...

    @property
    def edge_mm(self) -> Float[np.ndarray, " n"]: ...


@dataclass(frozen=True, slots=True)
class HeartInfo:
    """Metadata of a prepared heart.

    Attributes:
        name: The heart's name, unique in its data set.
        kind: Kind of source: label map, masks, meshes or npz.
        source: Path of the source.
        sha256: Hash of the source's files.
        content: Hash of the heart's shape, the same if two files contain the same heart.
        label_set: The label set, as :meth:`LabelSet.to_dict` returns it.
        structures: Names of the K structures that the heart has, in the order of the distances.
            The data set records whether the others are absent or not annotated.
        cut: Those of them that reach the edge of the scan and may continue beyond it.
        frame: Conversion between mm and units.
        reach_mm: Distances are truncated at this value.
        spacing_mm: Voxel size along each axis of the label map.
        volumes_ml: Volume enclosed by each structure's surface.
        areas_mm2: Area of each structure's surface.
        pieces: Number of connected pieces of each structure, without specks.
        speck_voxels: Number of voxels in the removed specks.
        remarks: Notes for the user on the source.
        options: Sampling options.
        seed: Random seed of the samples.
        version: Version of VecSetX that wrote the file.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Name
    kind: str
    source: str
    sha256: str
    content: str
    label_set: Mapping[str, Any]
    structures: tuple[StructureName, ...]
    cut: tuple[StructureName, ...]
    frame: Frame
    reach_mm: float
    spacing_mm: tuple[float, float, float]
    volumes_ml: Mapping[str, float]
    areas_mm2: Mapping[str, float]
    pieces: Mapping[str, int]
    speck_voxels: int
    remarks: tuple[str, ...]
    options: Mapping[str, Any]
    seed: int
    version: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "HeartInfo":
        """Read the result of ``asdict``, also after a round trip through JSON.

        Raises:
            PlainDataError: A value is missing, unknown, of another type or not allowed.
        """
        info = validated(validator(HeartInfo), data)
        info.check()
        return info

    def check(self) -> None:
        """Check that the values fit each other, and a heart.

        Raises:
            PlainDataError: They do not.
        """
        names = set(self.structures)
        if not names or len(names) < len(self.structures) or not names >= set(self.cut):
            raise PlainDataError("structures: none, or one is there twice, or a cut one is missing")
        tables: dict[str, tuple[Mapping[str, float], float]] = {
            "volumes_ml": (self.volumes_ml, _MOST_ML),
            "areas_mm2": (self.areas_mm2, _MOST_MM2),
            "pieces": (self.pieces, math.inf),
        }
        for table, (values, most) in tables.items():
            if values.keys() != names:
                raise PlainDataError(f"{table}: its structures are not those of the heart")
            for name, value in values.items():
                if not 0 <= value <= most:  # also NaN
                    raise PlainDataError(f"{table}.{name}: {value:g} is none that a heart has")
        if not (self.reach_mm > 0 and all(0 < mm <= FARTHEST_MM for mm in self.spacing_mm)):
            raise PlainDataError("reach_mm, spacing_mm: must be above 0")
        if min(self.speck_voxels, self.seed) < 0:
            raise PlainDataError("speck_voxels, seed: must be at least 0")

    def known_mm(self, edge_mm: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
        """Return the magnitude up to which each structure's distance is known at each point, mm.

        See :func:`vecsetx.geometry.view.known_mm`.
        """
        cut = np.array([name in self.cut for name in self.structures])
        return known_mm(edge_mm, cut)

    def trusted(self, points: "_Points") -> Bool[np.ndarray, "n k"]:
        """Return whether each distance of ``points`` is exact; otherwise it is a lower bound."""
        sizes = np.minimum(np.abs(points.distances_mm), self.reach_mm)
        return sizes <= self.known_mm(points.edge_mm)
