"""Make one new heart of a shape space."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cohort.measuring import MeasuredHeart
from vecsetx.cohort.new_hearts import NewHeart
from vecsetx.cohort.working_space import WorkingSpace
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.heart import MeshOptions
from vecsetx.inference.heart_files import mesh_files
from vecsetx.inference.heart_meshes import SurfaceKind
from vecsetx.measures.heart_measures import measure_heart
from vecsetx.population.heart_space import HeartSpace, SpaceHeart
from vecsetx.population.heart_tables import label_map_of
from vecsetx.population.neighbours import contact_mm2
from vecsetx.population.space_file import Cohort
from vecsetx.progress import stage
from vecsetx.workers.heart_work import HeartWork

__all__ = ["GeneratedHeart", "Generating", "NewHeartFiles", "faults_of"]


@dataclass(frozen=True, slots=True)
class NewHeartFiles:
    """What is written of each new heart.

    Attributes:
        write: Label maps, a folder of meshes per heart, or both.
        spacing_mm: Edge of the voxels of label maps, and of the meshing grid.
        surfaces: Whether structures share their walls
            (:data:`~vecsetx.inference.heart_meshes.SurfaceKind`).
        space: Axes of mesh coordinates, ``lps`` or ``ras``.
        extension: Mesh format: vtp, stl, ply or obj.
    """

    write: Literal["labels", "meshes", "both"] = "labels"
    spacing_mm: float = 1.5
    surfaces: SurfaceKind = "shared"
    space: str = "lps"
    extension: str = "vtp"

    def check(self) -> None:
        """Check that no option is about meshes if only label maps are written.

        Raises:
            InputError: One is.
        """
        chosen = {
            f"--surfaces {self.surfaces}": self.surfaces != "shared",
            f"--space {self.space}": self.space != "lps",
            f"--format {self.extension}": self.extension != "vtp",
        }
        idle = [option for option, given in chosen.items() if given]
        if self.write == "labels" and idle:
            raise InputError(
                f"{idle[0]}: is about meshes, but only label maps are written; add --write meshes "
                "or --write both"
            )


@dataclass(frozen=True, slots=True)
class GeneratedHeart:
    """A new heart.

    Attributes:
        coordinates: In standard deviations along the modes.
        nearest: The fitted heart that is most like it.
        nearest_mm: Mean distance of its anchors from that heart's.
        faults: Why it is no heart like those of the cohort; empty if nothing speaks against it.
        heart: Its numbers.
        files: Its files, from the folder of all.
    """

    coordinates: tuple[float, ...]
    nearest: str
    nearest_mm: float
    faults: tuple[str, ...]
    heart: MeasuredHeart
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generating(HeartWork[NewHeart, GeneratedHeart]):
    """Makes hearts of a shape space, and writes their files.

    Attributes:
        space: The space.
        wanted: What is written of each heart.
        out: Folder for the files, an absolute path.
    """

    name: ClassVar[str] = "shape sample"

    space: WorkingSpace
    wanted: NewHeartFiles
    out: Path

    def setting(self) -> dict[str, Any]:
        """Return the space, the model, and what is written."""
        return {"space": self.space.to_dict(), "wanted": asdict(self.wanted)}

    def identity(self, heart: NewHeart) -> dict[str, Any]:
        """Return which heart it is."""
        return {"name": heart.name, **heart.identity()}

    def make(self, heart: NewHeart) -> GeneratedHeart:
        """Make a heart and write its files.

        Raises:
            InputError: The space has no such heart.
        """
        space = self.space.loaded()
        saved, trained = space.saved, space.trained
        with stage("drawing"):
            made = heart.of(space)
        with stage("voxels"):
            label_map = label_map_of(made.encoded.field, self.wanted.spacing_mm)
        with stage("measures"):
            geometry = Geometry.of_label_map(label_map, len(trained.structures))
            measures = measure_heart(geometry, trained.structures)
        files = self._write_labels(heart.name, made, label_map)
        files += self._write_meshes(heart.name, made)
        ((nearest, away),) = saved.cohort.nearest(made.table.positions)
        return GeneratedHeart(
            tuple(saved.space.coordinates(made.table).tolist()),
            nearest,
            away * trained.mm_per_unit,
            faults_of(label_map, space),
            MeasuredHeart(trained.label_set.name, measures, ()),
            tuple(files),
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
            tuple(map(str, record["files"])),
        )

    def files(self, heart: NewHeart, result: GeneratedHeart) -> list[Path]:
        """Return the heart's files."""
        return [self.out / file for file in result.files]

    def _write_labels(self, name: str, made: SpaceHeart, label_map: LabelMap) -> list[str]:
        if self.wanted.write == "meshes":
            return []
        file, structures = f"{name}.nii.gz", made.structures
        own_ids = label_map.to_label_set(made.label_set, structures)
        present = {structures[label - 1]: 1.0 for label in label_map.present()}
        write_label_map(own_ids, self.out / file, structures, made.label_set, present)
        return [file]

    def _write_meshes(self, name: str, made: SpaceHeart) -> list[str]:
        if self.wanted.write == "labels":
            return []
        wanted = self.wanted
        options = MeshOptions(
            resolution_mm=wanted.spacing_mm, kind=wanted.surfaces, keep_specks=True
        )
        meshes = made.meshes(options)
        known = made.vertex_attributes(meshes)
        files = list(mesh_files(made, meshes, known, wanted.space, wanted.extension))
        for file in files:
            if file.write:
                file.write(self.out / name / file.name)
        return [f"{name}/{file.name}" for file in files]


def faults_of(label_map: LabelMap, space: HeartSpace) -> tuple[str, ...]:
    """Say what sets a heart apart from those of the cohort: pieces, volumes and neighbours."""
    structures, cohort = space.saved.structures, space.saved.cohort
    labels = [space.trained.structures.index(name) + 1 for name in structures]
    contact = contact_mm2(label_map, len(space.trained.structures))
    faults = []
    for place, (name, label) in enumerate(zip(structures, labels, strict=True)):
        inside = label_map.labels == label
        if not inside.any():
            faults.append(f"no {name}")
            continue
        pieces, most = number_pieces(inside)[1], int(cohort.most_pieces[place])
        if pieces > most:
            faults.append(f"{name} in {pieces} pieces; in the cohort at most {most}")
        ml = inside.sum() * label_map.voxel_volume_mm3 / 1000
        faults += _odd_volume(name, ml, cohort, place)
        for other in np.flatnonzero(cohort.touching[place, :place]):
            apart = not contact[label - 1, labels[other] - 1]
            if apart and (label_map.labels == labels[other]).any():
                pair = f"{structures[other]} and {name}"
                faults.append(f"{pair} do not touch; in the cohort they always do")
    return tuple(faults)


def _odd_volume(name: str, ml: float, cohort: Cohort, place: int) -> list[str]:
    known = cohort.volumes_ml[np.isfinite(cohort.volumes_ml[:, place]), place]
    if not len(known) or known.min() / 2 <= ml <= 2 * known.max():
        return []
    between = f"{known.min():.1f} to {known.max():.1f} ml"
    return [f"{name} of {ml:.1f} ml; the cohort's have {between}"]
