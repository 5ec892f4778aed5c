"""The files of a heart's meshes and label maps, and what each is for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.inference.heart import Heart
from vecsetx.inference.heart_meshes import HeartMeshes, VertexAttributes
from vecsetx.reconstruction.label_tables import write_color_table, write_label_descriptions
from vecsetx.reconstruction.mesh_export import write_interfaces, write_scene, write_surface
from vecsetx.suggestions import ENDINGS_ALIKE, unknown

__all__ = ["HeartFile", "label_map_files", "mesh_files"]

_SHARED = "shares its walls with its neighbours, for looking; opens in"
_CLOSED = "watertight, for printing and volumes; opens in"
_MESH_PROGRAMS = {
    "vtp": "3D Slicer, ParaView, PyVista",
    "stl": "3D Slicer, MeshLab",
    "ply": "3D Slicer, MeshLab, Blender",
    "obj": "Blender, MeshLab, 3D Slicer",
}
_LABEL_PROGRAMS = "3D Slicer, ITK-SNAP, nibabel"


@dataclass(frozen=True, slots=True)
class HeartFile:
    """One file.

    Attributes:
        name: Its name.
        purpose: What it is, and what opens it.
        write: Writes it to a path; None for a file that is written with the one before.
    """

    name: str
    purpose: str
    write: Callable[[Path], None] | None


def mesh_files(
    heart: Heart, meshes: HeartMeshes, known: VertexAttributes, space: str, extension: str
) -> Iterator[HeartFile]:
    """Yield the files of a heart's meshes.

    Args:
        heart: The heart.
        meshes: Its meshes.
        known: Visibility and uncertainty at their vertices.
        space: Axes of the written coordinates, ``lps`` or ``ras``.
        extension: Format of a structure's mesh: ``vtp``, ``stl``, ``ply`` or ``obj``.

    Raises:
        InputError: The format is not supported, or there are no meshes; when a file is written,
            that the space is not supported.
    """
    if extension not in _MESH_PROGRAMS:
        raise InputError(unknown("mesh format", extension, _MESH_PROGRAMS, ENDINGS_ALIKE))
    surfaces, interfaces = meshes.surfaces, meshes.interfaces
    if not surfaces:
        raise InputError(
            "none of the structures was reconstructed; look at the input with vecsetx inspect, or "
            "train longer"
        )
    opens = f"{_SHARED if interfaces else _CLOSED} {_MESH_PROGRAMS[extension]}"
    if extension == "stl" and not interfaces:
        opens += ", slicers of 3-D printers"
    for name in heart.structures:
        if name in surfaces:

            def write(path: Path, name: str = name) -> None:
                label = heart.label_set.id_of(name)
                sd_mm = known.sd_mm.get(name)
                write_surface(path, surfaces[name], name, label, space, known.observed[name], sd_mm)

            yield HeartFile(f"{name}.{extension}", f"mesh: {opens}", write)
            if extension == "obj":
                yield HeartFile(f"{name}.mtl", "colour of the .obj file beside it", None)
    yield HeartFile(
        "heart.glb",
        "all meshes in colour, in metres: opens in Blender, PowerPoint, Windows 3D Viewer",
        lambda path: write_scene(path, surfaces, space),
    )
    if interfaces:
        yield HeartFile(
            "interfaces.vtp",
            "all walls as one mesh, for volume meshing: opens in ParaView, PyVista, 3D Slicer",
            lambda path: write_interfaces(
                path,
                interfaces,
                heart.structures,
                heart.label_set,
                space,
                known.interfaces_observed,
                known.interfaces_sd_mm,
            ),
        )


def label_map_files(heart: Heart, labels: LabelMap) -> Iterator[HeartFile]:
    """Yield the files of a heart's label map.

    Args:
        heart: The heart.
        labels: Its label map, labels 1…K.
    """
    structures, ids = heart.structures, heart.label_set
    part = heart.encoded.visibility.inferred_part(labels)
    there, inferred = _voxel_counts(labels, structures), _voxel_counts(part, structures)
    shares = {name: inferred.get(name, 0) / count for name, count in there.items()}
    maps = [("labels.nii.gz", labels, shares, "label map")]
    if inferred:
        what = "its voxels that are not observed"
        maps.append(("inferred.nii.gz", part, dict.fromkeys(inferred, 1.0), what))
    for name, voxels, guessed, what in maps:

        def write(
            path: Path, written: LabelMap = voxels, guessed: Mapping[str, float] = guessed
        ) -> None:
            own_ids = written.to_label_set(ids, structures)
            write_label_map(own_ids, path, structures, ids, guessed)

        yield HeartFile(name, f"{what}: opens in {_LABEL_PROGRAMS}", write)
    yield HeartFile(
        "labels.ctbl",
        "names and colours of the ids: load it in 3D Slicer before labels.nii.gz",
        lambda path: write_color_table(path, structures, ids),
    )
    yield HeartFile(
        "labels.itksnap.txt",
        "names and colours of the ids: ITK-SNAP, Segmentation > Import Label Descriptions",
        lambda path: write_label_descriptions(path, structures, ids),
    )


def _voxel_counts(labels: LabelMap, structures: Sequence[str]) -> dict[str, int]:
    """Return structure → number of its voxels, of those that have any; labels are 1…K."""
    counts = np.bincount(labels.labels.ravel(), minlength=len(structures) + 1)
    return {name: int(n) for name, n in zip(structures, counts[1:], strict=True) if n}
