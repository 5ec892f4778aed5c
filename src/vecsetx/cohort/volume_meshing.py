"""Mesh one heart of a cohort with tetrahedra."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vecsetx.anatomy.structures import parse_names
from vecsetx.cohort.heart_to_mesh import ReconstructingModel, as_reconstructed, as_segmented
from vecsetx.cohort.identity import plain_source
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.machine import machine_bytes
from vecsetx.progress import stage
from vecsetx.report.mesh_drawing import MeshDrawing, draw_mesh
from vecsetx.solver_files.msh import write_msh
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.solver_files.vtk_xml import write_vtp, write_vtu
from vecsetx.volume_mesh.cost import Cost, expected_cost
from vecsetx.volume_mesh.edge_lengths import parse_edges, parse_walls
from vecsetx.volume_mesh.heart_mesh import mesh_heart
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh_quality import MeshQuality, measure_quality
from vecsetx.volume_mesh.parts import Parts
from vecsetx.workers.heart_work import HeartWork

__all__ = ["MeshedHeart", "VolumeMeshing"]


@dataclass(frozen=True, slots=True)
class MeshedHeart:
    """What is known of a heart's mesh.

    Attributes:
        label_set: Name of the label set that it was read with.
        quality: What the mesh is worth.
        drawing: What the page shows of it.
        edges_mm: Region → mean length of edges at its interfaces that was used.
        halved: The structures whose edges were halved, as they are too thin for those asked for.
        expected_tetrahedra: Number of tetrahedra that was estimated for these edges.
        seconds: Time it took.
        remarks: Notes on its files and on its reconstruction, as sentences.
        model: Name of the model whose reconstruction it is of; empty for the heart's own surfaces.
        misfit: Why that reconstruction is not to be used; empty if nothing is wrong with it.
    """

    label_set: str
    quality: MeshQuality
    drawing: MeshDrawing
    edges_mm: dict[str, float]
    halved: tuple[str, ...]
    expected_tetrahedra: int
    seconds: float
    remarks: tuple[str, ...]
    model: str = ""
    misfit: str = ""

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the mesh, as sentences: the bounds that it misses, and a misfit."""
        return (*self.quality.missed, *([self.misfit] if self.misfit else []))

    def to_dict(self) -> dict[str, Any]:
        """Return the heart as plain data, without the drawing."""
        return {
            "label_set": self.label_set,
            "edges_mm": self.edges_mm,
            "halved": list(self.halved),
            "expected_tetrahedra": self.expected_tetrahedra,
            "seconds": self.seconds,
            **self.quality.to_dict(),
            "remarks": list(self.remarks),
            **({"model": self.model, "misfit": self.misfit} if self.model else {}),
        }

    @classmethod
    def from_dict(cls, data: Any) -> "MeshedHeart":
        """Return the heart from plain data, with the drawing."""
        return cls(
            str(data["label_set"]),
            MeshQuality.from_dict(data),
            MeshDrawing.from_dict(data["drawing"]),
            {str(name): float(edge) for name, edge in data["edges_mm"].items()},
            tuple(map(str, data["halved"])),
            int(data["expected_tetrahedra"]),
            float(data["seconds"]),
            tuple(map(str, data["remarks"])),
            str(data.get("model", "")),
            str(data.get("misfit", "")),
        )


@dataclass(frozen=True, slots=True)
class VolumeMeshing(HeartWork[HeartSource, MeshedHeart]):
    """Meshes hearts of any source that has a volume.

    Attributes:
        out: Folder for the files, an absolute path.
        edge_mm: Edges, as the command line has them.
        structures: Structures that are meshed, as the command line has them; empty for all.
        extension: Format of the meshes, ``vtu`` or ``msh``.
        space: Axes of the files, ``lps`` or ``ras``.
        wall: Walls around structures, as the command line has them; empty for none.
        strict: Whether structures that are too thin for their edges are an error.
        seed: Seed of the directions in which vertices are tried, and of the points that a model is
            shown.
        model: The model whose reconstructions are meshed; None for the hearts' own surfaces.
    """

    name: ClassVar[str] = "volume-mesh"

    out: Path
    edge_mm: str
    structures: str
    wall: str
    extension: str
    space: str
    strict: bool
    seed: int
    model: ReconstructingModel | None = None

    def setting(self) -> dict[str, Any]:
        """Return the options."""
        return {
            "edge_mm": self.edge_mm,
            "structures": self.structures,
            "wall": self.wall,
            "extension": self.extension,
            "space": self.space,
            "strict": self.strict,
            "seed": self.seed,
            "model": self.model and self.model.to_dict(),
        }

    def identity(self, heart: HeartSource) -> dict[str, Any]:
        """Return the source and its files."""
        return plain_source(heart)

    def make(self, heart: HeartSource) -> MeshedHeart:
        """Mesh a heart, and write its file.

        Raises:
            InputError: It cannot be read, has no volume or none of the structures, its mesh would
                need more memory than there is, or a structure is too thin.
        """
        began = time.monotonic()
        given = (
            as_reconstructed(heart, self.model, self.seed) if self.model else as_segmented(heart)
        )
        parts = self._parts(given.geometry, given.structures, heart)
        edges_mm = self._edges(parts, given.label_set.structures)
        cost = expected_cost(parts, edges_mm)
        _check_memory(cost, min(edges_mm.values()), heart)
        try:
            with stage(str(cost)):
                mesh, halved = mesh_heart(parts, edges_mm, self.strict, self.seed)
        except InputError as error:
            raise InputError(f"{heart.path}: {error}") from None
        edges = {**edges_mm, **halved}
        if halved:
            cost = expected_cost(parts, edges)
        geometry, names = parts.geometry, parts.names
        volumes_ml = parts.of_input(geometry.volumes_ml())
        areas_mm2 = parts.of_input(geometry.areas_mm2())
        longest_mm = max(edges_mm.values())
        with stage("quality"):
            field = parts.distances()
            quality = measure_quality(mesh, names, field, volumes_ml, areas_mm2, longest_mm)
        own = given.label_set
        highest = max(own.id_of(name) for name in own.structures)
        ids = [own.id_of(name) for name in parts.chosen]
        ids += range(highest + 1, highest + 1 + len(parts.walls_mm))
        file, interfaces = self._files(heart)
        with stage("writing"):
            whole = SolverMesh(mesh, names, ids, named_interfaces(facets_between(mesh), names))
            {"vtu": write_vtu, "msh": write_msh}[self.extension](whole, file, self.space)
            write_vtp(whole, interfaces, self.space)
        with stage("drawing"):
            drawing = draw_mesh(whole)
        remarks = [*given.remarks]
        remarks += [given.doubts[name] for name in parts.chosen if name in given.doubts]
        is_cut = dict(zip(parts.structures, geometry.cut.tolist(), strict=True))
        cut = [name for name in parts.chosen if is_cut[name]]
        if cut:
            remarks.append(f"the scan cuts {', '.join(cut)}: the mesh ends there with a flat face")
        seconds = round(time.monotonic() - began, 1)
        return MeshedHeart(
            given.label_set.name,
            quality,
            drawing,
            edges,
            tuple(halved),
            round(cost.tetrahedra),
            seconds,
            tuple(remarks),
            self.model.name if self.model else "",
            given.misfit,
        )

    def to_record(self, result: MeshedHeart) -> Any:
        """Return the numbers and the drawing as plain data."""
        return result.to_dict() | {"drawing": result.drawing.to_dict()}

    def of_record(self, record: Any) -> MeshedHeart:
        """Return the numbers and the drawing from plain data."""
        return MeshedHeart.from_dict(record)

    def files(self, heart: HeartSource, result: MeshedHeart) -> Sequence[Path]:
        """Return the mesh and its interfaces."""
        return self._files(heart)

    def _files(self, heart: HeartSource) -> tuple[Path, Path]:
        named = self.out / f"{heart.name}"
        return Path(f"{named}.{self.extension}"), Path(f"{named}.interfaces.vtp")

    def _parts(self, geometry: Geometry, structures: tuple[str, ...], heart: HeartSource) -> Parts:
        """Return what is meshed."""
        present = geometry.present()
        there = tuple(name for name, shown in zip(structures, present, strict=True) if shown)
        chosen = parse_names(self.structures, structures, "--structures") or there
        walls_mm = parse_walls(self.wall, structures)
        for option, wanted in (("--structures", chosen), ("--wall", walls_mm)):
            if missing := [name for name in wanted if name not in there]:
                raise InputError(
                    f"{heart.path}: has no {', '.join(missing)}; it has {', '.join(there)}, of "
                    f"which {option} can choose"
                )
        if drawn := [name for name in walls_mm if f"{name}Wall" in there]:
            raise InputError(
                f"{heart.path}: has a wall of {', '.join(drawn)} already; leave it out of --wall"
            )
        if unmeshed := [name for name in walls_mm if name not in chosen]:
            raise InputError(
                f"--wall {self.wall}: {', '.join(unmeshed)} is not among --structures "
                f"{self.structures}; add it there"
            )
        return Parts(geometry.restricted(present), there, chosen, walls_mm)

    def _edges(self, parts: Parts, among: tuple[str, ...]) -> dict[str, float]:
        """Return the edges of each region; those of a wall are no longer than it is thick."""
        lengths = parse_edges(self.edge_mm, among)
        edges_mm = {name: lengths[name] for name in parts.chosen}
        for name, thick_mm in parts.walls_mm.items():
            edges_mm[f"{name}Wall"] = min(lengths[name], thick_mm)
        return edges_mm


def _check_memory(cost: Cost, shortest_mm: float, heart: HeartSource) -> None:
    """Refuse a mesh that would not fit into the machine's memory.

    Raises:
        InputError: It would not.
    """
    if cost.bytes > (there := machine_bytes()):
        raise InputError(
            f"{heart.path}: edges of {shortest_mm:g} mm give about {cost.tetrahedra / 1e6:.0f} "
            f"million tetrahedra, which take {cost.bytes / 1e9:.0f} GB and {cost.minutes:.0f} "
            f"minutes to make; this machine has {there / 1e9:.0f} GB. Give longer edges or fewer "
            f"structures, such as --edge-mm {2 * shortest_mm:g} or --structures LV,Myocardium"
        )
