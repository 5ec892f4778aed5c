"""Writing surfaces for other programs, in the scanner's millimetres.

Meshes are written in LPS+ by default, as 3D Slicer, ITK and DICOM have it, and say so: a ``SPACE``
entry in the header (STL), a comment (PLY, OBJ) or field data (VTP), all of which 3D Slicer honours.
From RAS+ to LPS+ is half a turn about the long axis, so faces keep their orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import trimesh
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkIntArray, vtkStringArray
from vtkmodules.vtkIOGeometry import vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from vecsetx.anatomy.labelmap import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError
from vecsetx.files import write_json, written_whole
from vecsetx.reconstruction.surfaces import Surface, to_polydata

_FROM_RAS = {"lps": np.array([-1, -1, 1], np.float32), "ras": np.array([1, 1, 1], np.float32)}


def write_surface(path: Path, surface: Surface, name: str, label: int, space: str = "lps") -> None:
    """Write one structure's surface; the extension decides the format.

    Args:
        path: ``.vtp`` (with the structure's name, label and colour), ``.stl``, ``.ply``, ``.obj``.
        surface: What to write.
        name: The structure's name, one of the known ones.
        label: Its label in the label map that goes with the surface.
        space: Axes of the coordinates written, ``lps`` or ``ras``.

    Raises:
        InputError: An extension or space that is none of these.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: meshes are written as {', '.join(_WRITERS)}, or all in one .glb")
    with written_whole(path) as unfinished:
        write(unfinished, _moved(surface, space), name, label, space.upper())


def write_surfaces(
    out: Path,
    surfaces: Mapping[str, Surface],
    structures: Sequence[str],
    extension: str = "vtp",
    space: str = "lps",
) -> list[Path]:
    """Write every surface to ``<structure>.<extension>``.

    Args:
        out: Folder to write to.
        surfaces: Structure name → surface.
        structures: Names of the K structures; they give the labels 1…K.
        extension: As in :func:`write_surface`.
        space: Axes of the coordinates written, ``lps`` or ``ras``.

    Returns:
        The files, in the order of ``structures``.
    """
    paths: list[Path] = []
    for label, name in enumerate(structures, start=1):
        if name in surfaces:
            paths.append(out / f"{name}.{extension.lstrip('.')}")
            write_surface(paths[-1], surfaces[name], name, label, space)
    return paths


def write_scene(path: Path, surfaces: Mapping[str, Surface], space: str = "lps") -> None:
    """Write all surfaces into one ``.glb``: a named, coloured node per structure.

    The coordinates are those of the other formats (millimetres, ``space``), not glTF's metres with
    y up; the file's extras say so.
    """
    scene = trimesh.Scene(metadata={"space": space.upper(), "unit": "mm"})
    for name, surface in surfaces.items():
        moved = _moved(surface, space)
        material = trimesh.visual.material.PBRMaterial(
            name=name,
            baseColorFactor=[*_linear(structure(name).color), 1.0],
            metallicFactor=0.0,
            roughnessFactor=0.7,
        )
        mesh = trimesh.Trimesh(
            moved.vertices_mm,
            moved.faces,
            visual=trimesh.visual.TextureVisuals(material=material),
            process=False,
        )
        scene.add_geometry(mesh, node_name=name, geom_name=name)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(scene.export(file_type="glb", include_normals=True))


def write_summary(
    path: Path,
    label_map: LabelMap,
    surfaces: Mapping[str, Surface],
    structures: Sequence[str],
    provenance: dict[str, Any],
) -> None:
    """Write what was reconstructed as JSON.

    Per structure: ``volume_ml`` and ``area_cm2`` of its surface, ``voxels`` and (26-connected)
    ``components`` in the label map. A structure without a surface has zeros.

    Args:
        path: The file, ``summary.json`` by custom.
        label_map: Labels 1…K in the order of ``structures``.
        surfaces: Structure name → surface.
        structures: Names of the K structures.
        provenance: Where this comes from, as plain data: the model, the input, the space.
    """
    boxes = ndimage.find_objects(label_map.labels, max_label=len(structures))
    table: dict[str, dict[str, float | int]] = {}
    for label, (name, box) in enumerate(zip(structures, boxes, strict=True), start=1):
        surface = surfaces.get(name)
        mask = label_map.labels[box] == label if box is not None else np.zeros((1, 1, 1), bool)
        table[name] = {
            "volume_ml": surface.volume_mm3 / 1000 if surface else 0.0,
            "area_cm2": surface.area_mm2 / 100 if surface else 0.0,
            "voxels": int(mask.sum()),
            "components": int(cc3d.connected_components(mask, connectivity=26, return_N=True)[1]),
        }
    write_json(path, {"structures": table, "provenance": provenance})


def _moved(surface: Surface, space: str) -> Surface:
    if space not in _FROM_RAS:
        raise InputError(f"no space is called {space!r}; meshes are written in lps or ras")
    return Surface(surface.vertices_mm * _FROM_RAS[space], surface.faces)


def _linear(color: tuple[int, int, int]) -> list[float]:
    """Linear intensities 0…1, as glTF wants them, of a display colour (sRGB, IEC 61966-2-1)."""
    encoded = np.array(color) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return [float(intensity) for intensity in linear]


def _write_vtp(path: Path, surface: Surface, name: str, label: int, space: str) -> None:
    polydata = to_polydata(surface.vertices_mm, surface.faces)
    for key, text in (("SPACE", space), ("Structure", name), ("Title", structure(name).title)):
        entry = vtkStringArray()
        entry.SetName(key)
        entry.InsertNextValue(text)
        polydata.GetFieldData().AddArray(entry)
    number = vtkIntArray()
    number.SetName("Label")
    number.InsertNextValue(label)
    polydata.GetFieldData().AddArray(number)
    color = numpy_to_vtk(np.array([structure(name).color], dtype=np.uint8), deep=True)
    color.SetName("Color")
    polydata.GetFieldData().AddArray(color)
    _run(vtkXMLPolyDataWriter(), polydata, path)


def _write_stl(path: Path, surface: Surface, name: str, label: int, space: str) -> None:
    writer = vtkSTLWriter()
    writer.SetFileTypeToBinary()
    writer.SetHeader(f"SPACE={space} unit=mm {name}")
    _run(writer, to_polydata(surface.vertices_mm, surface.faces), path)


def _write_ply(path: Path, surface: Surface, name: str, label: int, space: str) -> None:
    writer = vtkPLYWriter()
    writer.AddComment(f"SPACE={space} unit=mm {name}")
    writer.SetColorModeToUniformColor()
    writer.SetColor(*structure(name).color)
    _run(writer, to_polydata(surface.vertices_mm, surface.faces), path)


def _write_obj(path: Path, surface: Surface, name: str, label: int, space: str) -> None:
    mesh = trimesh.Trimesh(surface.vertices_mm, surface.faces, process=False)
    header = f"SPACE={space} unit=mm {name}"
    path.write_text(trimesh.exchange.obj.export_obj(mesh, include_color=False, header=header))


def _run(writer: Any, polydata: Any, path: Path) -> None:
    writer.SetInputData(polydata)
    writer.SetFileName(str(path))
    if writer.Write() != 1 or writer.GetErrorCode():
        raise OSError(f"{path}: could not be written (is the disk full?)")


_WRITERS: dict[str, Callable[[Path, Surface, str, int, str], None]] = {
    ".vtp": _write_vtp,
    ".stl": _write_stl,
    ".ply": _write_ply,
    ".obj": _write_obj,
}
