"""Make one new heart of a shape space."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cohort.measuring import MeasuredHeart
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.measures.heart_measures import measure_heart
from vecsetx.model.heart_field import HeartField
from vecsetx.population.drawing import VolumeRange, draw
from vecsetx.population.heart_tables import field_of
from vecsetx.population.space_file import SavedSpace
from vecsetx.progress import stage
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.workers.heart_work import HeartWork

__all__ = ["GeneratedHeart", "Generating"]

_COARSE_MM = 3.0
"""Voxels by which volumes are corrected."""

_MARGIN_VOXELS = 3


@dataclass(frozen=True, slots=True)
class GeneratedHeart:
    """A new heart.

    Attributes:
        coordinates: In standard deviations along the modes.
        nearest: The fitted heart that is most like it.
        nearest_mm: Mean distance of its anchors from that heart's.
        faults: Why it is no heart like those of the cohort; empty if nothing speaks against it.
        heart: Its numbers.
    """

    coordinates: tuple[float, ...]
    nearest: str
    nearest_mm: float
    faults: tuple[str, ...]
    heart: MeasuredHeart


@dataclass(frozen=True, slots=True)
class Generating(HeartWork[int, GeneratedHeart]):
    """Draws hearts by their number, and writes their label maps.

    Attributes:
        model: The model of the space.
        space: Folder of the space, an absolute path.
        sha256: Hash of the space's description.
        seed: Seed of all hearts; each one follows from it and its number alone.
        volumes: Structure → its volume, where one is asked for.
        spacing_mm: Side of the label maps' voxels.
        out: Folder for the label maps, an absolute path.
    """

    name: ClassVar[str] = "shape sample"

    model: WorkingModel
    space: Path
    sha256: str
    seed: int
    volumes: Mapping[str, VolumeRange]
    spacing_mm: float
    out: Path

    def setting(self) -> dict[str, Any]:
        """Return the space, the model, the seed and what is asked for."""
        return {
            "model": self.model.to_dict(),
            "space": self.sha256,
            "seed": self.seed,
            "volumes": {name: asdict(one) for name, one in self.volumes.items()},
            "spacing_mm": self.spacing_mm,
        }

    def identity(self, heart: int) -> dict[str, Any]:
        """Return the heart's number."""
        return {"number": heart}

    def make(self, heart: int) -> GeneratedHeart:
        """Draw a heart and write its label map.

        Raises:
            InputError: It cannot have the volumes that are asked for.
        """
        saved, trained = _space(self.space, self.sha256), self.model.trained()
        columns = [trained.structures.index(name) for name in saved.structures]

        def field(coordinates: np.ndarray) -> HeartField:
            return field_of(saved.space.table(coordinates), trained, saved.structures)

        def volumes_ml(coordinates: np.ndarray) -> np.ndarray:
            found = _label_map(field(coordinates), _COARSE_MM)
            voxels = np.bincount(found.labels.ravel(), minlength=len(trained.structures) + 1)
            return voxels[1:][columns] * found.voxel_volume_mm3 / 1000

        with stage("drawing"):
            generator = np.random.default_rng([self.seed, heart])
            coordinates = draw(saved, generator, self.volumes, volumes_ml)
        label_map = _label_map(field(coordinates), self.spacing_mm)
        geometry = Geometry.of_label_map(label_map, len(trained.structures))
        measures = measure_heart(geometry, trained.structures)
        own_ids = label_map.to_label_set(trained.label_set, trained.structures)
        everything = dict.fromkeys(saved.structures, 1.0)
        write_label_map(own_ids, self.file(heart), saved.structures, trained.label_set, everything)
        positions = saved.space.table(coordinates).positions
        nearest, away = saved.cohort.nearest(positions)
        return GeneratedHeart(
            tuple(coordinates.tolist()),
            nearest,
            away * trained.mm_per_unit,
            _faults(label_map, saved, columns),
            MeasuredHeart(trained.label_set.name, measures, ()),
        )

    def to_record(self, result: GeneratedHeart) -> Any:
        """Return the heart as plain data."""
        return {**asdict(result), "heart": result.heart.to_dict()}

    def of_record(self, record: Any) -> GeneratedHeart:
        """Return the heart from plain data."""
        return GeneratedHeart(
            tuple(map(float, record["coordinates"])),
            str(record["nearest"]),
            float(record["nearest_mm"]),
            tuple(map(str, record["faults"])),
            MeasuredHeart.from_dict(record["heart"]),
        )

    def files(self, heart: int, result: GeneratedHeart) -> list[Path]:
        """Return the heart's label map."""
        return [self.file(heart)]

    def file(self, heart: int) -> Path:
        """Return the file of a heart's label map."""
        return self.out / f"heart{heart:05d}.nii.gz"


def _label_map(field: HeartField, spacing_mm: float) -> LabelMap:
    low_mm, high_mm = extent_mm(field, *field.domain.domain_mm())
    margin_mm = _MARGIN_VOXELS * spacing_mm
    return rasterize(field, Grid.around(low_mm - margin_mm, high_mm + margin_mm, spacing_mm))


def _faults(label_map: LabelMap, saved: SavedSpace, columns: list[int]) -> tuple[str, ...]:
    """Say what sets a heart apart from those of the cohort: pieces and volumes."""
    faults = []
    volumes_ml = saved.cohort.volumes_ml
    for place, (name, k) in enumerate(zip(saved.structures, columns, strict=True)):
        inside = label_map.labels == k + 1
        if not inside.any():
            faults.append(f"no {name}")
            continue
        pieces, most = number_pieces(inside)[1], int(saved.cohort.most_pieces[place])
        if pieces > most:
            faults.append(f"{name} in {pieces} pieces; in the cohort at most {most}")
        ml = inside.sum() * label_map.voxel_volume_mm3 / 1000
        low, high = np.nanmin(volumes_ml[:, place]), np.nanmax(volumes_ml[:, place])
        if not low / 2 <= ml <= 2 * high:
            faults.append(f"{name} of {ml:.1f} ml; the cohort's have {low:.1f} to {high:.1f} ml")
    return tuple(faults)


_spaces: dict[tuple[Path, str], SavedSpace] = {}
"""The space that this process has read last."""


def _space(folder: Path, sha256: str) -> SavedSpace:
    key = (folder, sha256)
    if key not in _spaces:
        saved = SavedSpace.read(folder)
        if saved.sha256 != sha256:
            raise InputError(f"{folder}: was fitted again while the command ran; run again")
        _spaces.clear()
        _spaces[key] = saved
    return _spaces[key]
