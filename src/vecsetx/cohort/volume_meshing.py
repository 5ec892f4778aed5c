"""Mesh one heart of a cohort with tetrahedra."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vecsetx.anatomy.structures import parse_names
from vecsetx.cohort.heart_to_mesh import ReconstructingModel, as_reconstructed, as_segmented
from vecsetx.cohort.identity import plain_source
from vecsetx.cohort.meshed_heart import MeshedHeart
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.fibres.heart_fibres import heart_fibres, parse_angles
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.machine import machine_bytes
from vecsetx.progress import stage
from vecsetx.report.mesh_drawing import draw_mesh
from vecsetx.solver_files.msh import write_msh
from vecsetx.solver_files.opencarp import write_opencarp
from vecsetx.solver_files.simvascular import write_simvascular
from vecsetx.solver_files.solver_folder import check_replaceable, files_of
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.solver_files.vtk_xml import write_vtp, write_vtu
from vecsetx.volume_mesh.cost import Cost, expected_cost
from vecsetx.volume_mesh.cut_ends import with_cut_ends
from vecsetx.volume_mesh.edge_lengths import (
    edges_within_mm,
    named_edges,
    parse_edges,
    parse_walls,
)
from vecsetx.volume_mesh.heart_mesh import mesh_heart
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.mesh_quality import measure_quality
from vecsetx.volume_mesh.neighbours import with_neighbours
from vecsetx.volume_mesh.parts import Parts
from vecsetx.volume_mesh.pieces import without_loose_walls
from vecsetx.volume_mesh.rings import valve_rings
from vecsetx.volume_mesh.tags import tags_of
from vecsetx.volume_mesh.valves import find_discs
from vecsetx.workers.heart_work import HeartWork

__all__ = ["VolumeMeshing"]

_FILES = {"vtu": write_vtu, "msh": write_msh}
_FOLDERS = {"opencarp": write_opencarp, "simvascular": write_simvascular}
"""Format → what writes a mesh as a file, or as a folder of files."""


@dataclass(frozen=True, slots=True)
class VolumeMeshing(HeartWork[HeartSource, MeshedHeart]):
    """Meshes hearts of any source that has a volume.

    Attributes:
        out: Folder for the files, an absolute path.
        edge_mm: Edges, as the command line has them.
        structures: Structures that are meshed, as the command line has them; empty for all.
        extension: Format of the meshes: the files ``vtu`` or ``msh``, or a folder each for
            ``opencarp`` or ``simvascular``.
        space: Axes of the files, ``lps`` or ``ras``.
        without: Regions that are left out of the files, as the command line has them.
        wall: Walls around structures, as the command line has them; empty for none.
        valves_mm: Thickness of valves; 0 for openings.
        tags: Numbers of regions, ``label-set`` or ``four-chamber``.
        fibres: Angles of fibres, as the command line has them.
        sheets: Angles of sheets, likewise.
        strict: Whether structures that are too thin for their edges are an error.
        seed: Seed of the directions in which vertices are tried, and of the points that a model is
            shown.
        model: The model whose reconstructions are meshed; None for the hearts' own surfaces.
    """

    name: ClassVar[str] = "volume-mesh"

    out: Path
    edge_mm: str
    structures: str
    without: str
    wall: str
    valves_mm: float
    tags: str
    fibres: str
    sheets: str
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
            "without": self.without,
            "wall": self.wall,
            "valves_mm": self.valves_mm,
            "tags": self.tags,
            "fibres": self.fibres,
            "sheets": self.sheets,
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
                need more memory than there is, a structure is too thin, or other files lie in the
                folder for its mesh.
        """
        began = time.monotonic()
        file, interfaces = self._files(heart)
        if self.extension in _FOLDERS:
            check_replaceable(file)
        given = (
            as_reconstructed(heart, self.model, self.seed) if self.model else as_segmented(heart)
        )
        parts, lacking = self._parts(given.geometry, given.structures, heart)
        dropped = self._dropped(parts, heart)
        edges_mm = self._edges(parts, given.label_set.structures)
        cost = expected_cost(parts, edges_mm)
        _check_memory(cost, min(edges_mm.values()), heart)
        try:
            with stage(str(cost)):
                mesh, halved = mesh_heart(parts, edges_mm, self.strict, self.seed)
                mesh, loose_ml = without_loose_walls(mesh, len(parts.chosen))
        except InputError as error:
            raise InputError(f"{heart.path}: {error}") from None
        edges = {**edges_mm, **halved}
        if halved:
            cost = expected_cost(parts, edges)
        geometry, names = parts.geometry, parts.names
        volumes_ml = parts.of_input(geometry.volumes_ml()) - parts.taken_by_discs_ml(mesh)
        areas_mm2 = parts.of_input(geometry.areas_mm2())
        longest_mm = max(edges_mm.values())
        with stage("quality"):
            field = parts.distances()
            quality = measure_quality(mesh, names, field, volumes_ml, areas_mm2, longest_mm)
        tags = tags_of(self.tags, names, given.label_set)
        whole, no_fibres = self._described(mesh, parts, tags, heart)
        whole = whole.without(dropped)
        with stage("writing"):
            {**_FILES, **_FOLDERS}[self.extension](whole, file, self.space)
            write_vtp(whole, interfaces, self.space)
        with stage("drawing"):
            drawing = draw_mesh(whole)
        remarks = [*given.remarks, *lacking, *no_fibres, *self._older(heart, file)]
        named = named_edges(self.edge_mm, given.label_set.structures)
        if unmeshed := [name for name in named if name not in parts.chosen]:
            remarks.append(f"--edge-mm names {', '.join(unmeshed)}, which is not meshed")
        remarks += [given.doubts[name] for name in parts.chosen if name in given.doubts]
        remarks += [
            f"{ml:.2g} ml of {names[k - 1]} touch no structure that is meshed, and were left out"
            for k, ml in loose_ml.items()
        ]
        if cut := [name for name in parts.cut_names() if name in parts.chosen]:
            remarks.append(f"the scan cuts {', '.join(cut)}: the mesh ends there with a flat face")
        return MeshedHeart(
            given.label_set.name,
            quality,
            drawing,
            edges,
            dict(zip(names, tags, strict=True)),
            tuple(halved),
            round(cost.tetrahedra),
            round(time.monotonic() - began, 1),
            tuple(remarks),
            self.model.name if self.model else "",
            given.misfit,
        )

    def _described(
        self, mesh: TetrahedralMesh, parts: Parts, tags: Sequence[int], heart: HeartSource
    ) -> tuple[SolverMesh, Sequence[str]]:
        """Return a mesh with all that is known of it, and remarks on fibres that it lacks."""
        names, view = parts.names, parts.geometry.label_map.field_of_view
        interfaces = named_interfaces(facets_between(mesh), names)
        rings = valve_rings(interfaces, names)
        interfaces = with_cut_ends(interfaces, mesh.points_mm, names, parts.cut_names(), view)
        interfaces = with_neighbours(interfaces, mesh.points_mm, parts)
        angles = parse_angles(self.fibres, self.sheets)
        if angles is None:
            return SolverMesh(mesh, names, tags, interfaces, rings), ()
        try:
            found = heart_fibres(mesh, names, interfaces, angles)
        except InputError as error:
            raise InputError(f"{heart.path}: {error}") from None
        sets = {**rings, **found.node_sets}
        whole = SolverMesh(mesh, names, tags, interfaces, sets, found.coordinates, found.vectors)
        return whole, found.remarks

    def to_record(self, result: MeshedHeart) -> Any:
        """Return the numbers and the drawing as plain data."""
        return result.to_dict() | {"drawing": result.drawing.to_dict()}

    def of_record(self, record: Any) -> MeshedHeart:
        """Return the numbers and the drawing from plain data."""
        return MeshedHeart.from_dict(record)

    def files(self, heart: HeartSource, result: MeshedHeart) -> Sequence[Path]:
        """Return the files of the mesh, and its interfaces."""
        mesh, interfaces = self._files(heart)
        return [*(files_of(mesh) if self.extension in _FOLDERS else [mesh]), interfaces]

    def _files(self, heart: HeartSource) -> tuple[Path, Path]:
        """Return the file or folder of the mesh, and the file of its interfaces."""
        named = self.out / heart.name
        mesh = named if self.extension in _FOLDERS else Path(f"{named}.{self.extension}")
        return mesh, Path(f"{named}.interfaces.vtp")

    def _older(self, heart: HeartSource, file: Path) -> list[str]:
        """Return a remark on meshes of a heart in other formats, which earlier runs wrote."""
        named = [self.out / f"{heart.name}.{extension}" for extension in _FILES]
        older = [path.name for path in named if path != file and path.exists()]
        folder = self.out / heart.name
        if folder != file and files_of(folder):
            older.append(f"{folder.name}/")
        if not older:
            return []
        return [
            f"{', '.join(older)}: of an earlier run, not of this mesh; remove what is not needed"
        ]

    def _parts(
        self, geometry: Geometry, structures: tuple[str, ...], heart: HeartSource
    ) -> tuple[Parts, tuple[str, ...]]:
        """Return what is meshed, and remarks on the valves that are not."""
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
        geometry = geometry.restricted(present)
        discs, lacking = find_discs(geometry, there, chosen, self.valves_mm)
        return Parts(geometry, there, chosen, walls_mm, discs), lacking

    def _dropped(self, parts: Parts, heart: HeartSource) -> tuple[str, ...]:
        """Return the regions that are left out of the files."""
        dropped = tuple(name.strip() for name in self.without.split(",") if name.strip())
        unknown = [name for name in dropped if name not in parts.names]
        if unknown or {*dropped} == {*parts.names}:
            what = f"there is no {', '.join(unknown)}" if unknown else "nothing would be left"
            raise InputError(
                f"{heart.path}: --without {self.without}: {what}; the mesh has "
                f"{', '.join(parts.names)}"
            )
        return dropped

    def _edges(self, parts: Parts, among: tuple[str, ...]) -> dict[str, float]:
        """Return the edges of each region; those of walls and valves are limited."""
        lengths = parse_edges(self.edge_mm, among)
        edges_mm = {name: lengths[name] for name in parts.chosen}
        for name, thick_mm in parts.walls_mm.items():
            edges_mm[f"{name}Wall"] = min(lengths[name], edges_within_mm(thick_mm))
        for disc in parts.discs:
            within_mm = edges_within_mm(disc.thickness_mm)
            edges_mm[disc.name] = min(within_mm, *(lengths[side] for side in disc.sides))
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
