"""Writing surfaces for other programs, in the scanner's millimetres.

Meshes are written in LPS+ by default, as 3D Slicer, ITK and DICOM have it, and say so: a ``SPACE``
entry in the header (STL), a comment (PLY, OBJ) or field data (VTP), all of which 3D Slicer honours.
From RAS+ to LPS+ is half a turn about the long axis, so faces keep their orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Bool, Float32
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkIntArray, vtkStringArray
from vtkmodules.vtkIOGeometry import vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from vecsetx.anatomy.structures import LabelSet, structure
from vecsetx.errors import InputError
from vecsetx.files import write_text, written_whole
from vecsetx.reconstruction.surfaces import Surface, to_polydata
from vecsetx.sampling.interfaces import SharedSurface

_Arrays = dict[str, np.ndarray]

_FROM_RAS = {"lps": np.array([-1, -1, 1], np.float32), "ras": np.array([1, 1, 1], np.float32)}


def write_surface(
    path: Path,
    surface: Surface,
    name: str,
    label: int,
    space: str = "lps",
    observed: Bool[np.ndarray, " v"] | None = None,
    sd_mm: Float32[np.ndarray, " v"] | None = None,
) -> None:
    """Write one structure's surface; the extension decides the format.

    Args:
        path: ``.vtp`` (with the structure's name, label and colour, and what is known of each
            vertex), ``.stl``, ``.ply`` (with the colour) or ``.obj`` (with the colour in
            ``<structure>.mtl`` beside it).
        surface: What to write.
        name: The structure's name, one of the known ones.
        label: Its label in the label map that goes with the surface.
        space: Axes of the coordinates written, ``lps`` or ``ras``.
        observed: Whether each vertex is observed; None where nobody knows. A VTP file has it as
            point array ``observed``, 1 or 0; the other formats have no place for it.
        sd_mm: Standard deviation of the surface's place at each vertex, likewise as ``sd_mm``.

    Raises:
        InputError: An extension or space that is none of these.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: meshes are written as {', '.join(_WRITERS)}, or all in one .glb")
    of_points = _of_points(observed, sd_mm)
    with written_whole(path) as unfinished:
        write(unfinished, _moved(surface, space), name, label, space.upper(), of_points)
    if path.suffix.lower() == ".obj":
        _write_material(path.with_name(f"{name}.mtl"), name)


def write_surfaces(
    out: Path,
    surfaces: Mapping[str, Surface],
    structures: Sequence[str],
    extension: str = "vtp",
    space: str = "lps",
    label_set: LabelSet | None = None,
    observed: Mapping[str, Bool[np.ndarray, " _"]] | None = None,
    sd_mm: Mapping[str, Float32[np.ndarray, " _"]] | None = None,
) -> list[Path]:
    """Write every surface to ``<structure>.<extension>``.

    Args:
        out: Folder to write to.
        surfaces: Structure name → surface.
        structures: Names of the K structures.
        extension: As in :func:`write_surface`.
        space: Axes of the coordinates written, ``lps`` or ``ras``.
        label_set: Whose ids the label map beside the surfaces has; None for 1…K.
        observed: Structure name → whether each vertex is observed, as in :func:`write_surface`.
        sd_mm: Structure name → standard deviation at each vertex, likewise.

    Returns:
        The files, in the order of ``structures``.
    """
    paths: list[Path] = []
    for label, name in enumerate(structures, start=1):
        if name in surfaces:
            paths.append(out / f"{name}.{extension.lstrip('.')}")
            label_id = label_set.id_of(name) if label_set else label
            shown = observed[name] if observed else None
            spread = sd_mm[name] if sd_mm else None
            write_surface(paths[-1], surfaces[name], name, label_id, space, shown, spread)
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


def write_interfaces(
    path: Path,
    interfaces: SharedSurface,
    structures: Sequence[str],
    label_set: LabelSet,
    space: str = "lps",
    observed: Bool[np.ndarray, " v"] | None = None,
    sd_mm: Float32[np.ndarray, " v"] | None = None,
) -> None:
    """Write the one mesh that all structures share as ``.vtp``.

    Cell data ``Sides`` are the ids on the two sides of each face (0 is background; the normal
    points from the first to the second), ``Color`` is that of the first. Point data ``observed``, 1
    or 0, and ``sd_mm`` are there if they are given for each vertex. Field data ``Ids`` and
    ``Structures`` say which id is which structure.
    """
    surface = _moved(Surface(interfaces.vertices_mm.astype(np.float32), interfaces.faces), space)
    polydata = to_polydata(surface.vertices_mm, surface.faces)
    ids = np.array([0, *(label_set.id_of(name) for name in structures)], dtype=np.int32)
    colors = np.array([structure(name).color for name in structures], dtype=np.uint8)
    for key, values in (
        ("Sides", ids[interfaces.sides]),
        ("Color", colors[interfaces.sides[:, 0] - 1]),
    ):
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(key)
        polydata.GetCellData().AddArray(array)
    _add_arrays(polydata, _of_points(observed, sd_mm))
    _add_words(polydata, "SPACE", [space.upper()])
    _add_words(polydata, "Structures", structures)
    numbers = numpy_to_vtk(ids[1:], deep=True)
    numbers.SetName("Ids")
    polydata.GetFieldData().AddArray(numbers)
    with written_whole(path) as unfinished:
        _run(vtkXMLPolyDataWriter(), polydata, unfinished)


def _moved(surface: Surface, space: str) -> Surface:
    if space not in _FROM_RAS:
        raise InputError(f"no space is called {space!r}; meshes are written in lps or ras")
    return Surface(surface.vertices_mm * _FROM_RAS[space], surface.faces)


def _linear(color: tuple[int, int, int]) -> list[float]:
    """Linear intensities 0…1, as glTF wants them, of a display colour (sRGB, IEC 61966-2-1)."""
    encoded = np.array(color) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return [float(intensity) for intensity in linear]


def _write_vtp(
    path: Path,
    surface: Surface,
    name: str,
    label: int,
    space: str,
    of_points: _Arrays,
) -> None:
    polydata = to_polydata(surface.vertices_mm, surface.faces)
    for key, text in (("SPACE", space), ("Structure", name), ("Title", structure(name).title)):
        _add_words(polydata, key, [text])
    number = vtkIntArray()
    number.SetName("Label")
    number.InsertNextValue(label)
    polydata.GetFieldData().AddArray(number)
    color = numpy_to_vtk(np.array([structure(name).color], dtype=np.uint8), deep=True)
    color.SetName("Color")
    polydata.GetFieldData().AddArray(color)
    _add_arrays(polydata, of_points)
    _run(vtkXMLPolyDataWriter(), polydata, path)


def _of_points(
    observed: Bool[np.ndarray, " v"] | None, sd_mm: Float32[np.ndarray, " v"] | None
) -> _Arrays:
    """What is known of the vertices, by the name of its array."""
    arrays: _Arrays = {}
    if observed is not None:
        arrays["observed"] = observed.astype(np.uint8)
    if sd_mm is not None:
        arrays["sd_mm"] = sd_mm
    return arrays


def _add_arrays(polydata: Any, of_points: _Arrays) -> None:
    for name, values in of_points.items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        polydata.GetPointData().AddArray(array)


def _add_words(polydata: Any, key: str, words: Sequence[str]) -> None:
    entry = vtkStringArray()
    entry.SetName(key)
    for word in words:
        entry.InsertNextValue(word)
    polydata.GetFieldData().AddArray(entry)


def _write_stl(
    path: Path, surface: Surface, name: str, label: int, space: str, of_points: object
) -> None:
    writer = vtkSTLWriter()
    writer.SetFileTypeToBinary()
    writer.SetHeader(f"SPACE={space} unit=mm {name}")
    _run(writer, to_polydata(surface.vertices_mm, surface.faces), path)


def _write_ply(
    path: Path, surface: Surface, name: str, label: int, space: str, of_points: object
) -> None:
    writer = vtkPLYWriter()
    writer.AddComment(f"SPACE={space} unit=mm {name}")
    writer.SetColorModeToUniformColor()
    writer.SetColor(*structure(name).color)
    _run(writer, to_polydata(surface.vertices_mm, surface.faces), path)


def _write_obj(
    path: Path, surface: Surface, name: str, label: int, space: str, of_points: object
) -> None:
    mesh = trimesh.Trimesh(surface.vertices_mm, surface.faces, process=False)
    header = f"SPACE={space} unit=mm {name}"
    text: str = trimesh.exchange.obj.export_obj(mesh, include_color=False, header=header)
    first_vertex = text.index("\nv ")
    material = f"\nmtllib {name}.mtl\nusemtl {name}"
    path.write_text(text[:first_vertex] + material + text[first_vertex:], encoding="utf-8")


def _write_material(path: Path, name: str) -> None:
    """The colour of an ``.obj``, in the file that it names."""
    red, green, blue = (part / 255 for part in structure(name).color)
    write_text(path, f"newmtl {name}\nKd {red:.4f} {green:.4f} {blue:.4f}\n")


def _run(writer: Any, polydata: Any, path: Path) -> None:
    writer.SetInputData(polydata)
    writer.SetFileName(str(path))
    if writer.Write() != 1 or writer.GetErrorCode():
        raise OSError(f"{path}: could not be written (is the disk full?)")


_WRITERS: dict[str, Callable[[Path, Surface, str, int, str, _Arrays], None]] = {
    ".vtp": _write_vtp,
    ".stl": _write_stl,
    ".ply": _write_ply,
    ".obj": _write_obj,
}
