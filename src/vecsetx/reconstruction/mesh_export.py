"""Write surfaces to mesh files, in millimetres of scanner space; scenes (GLB) are in metres.

By default, coordinates are LPS+, as in 3D Slicer, ITK and DICOM. Each file states its space: in the
header (STL), a comment (PLY, OBJ) or field data (VTP) named ``SPACE``, all of which 3D Slicer
honours. RAS+ and LPS+ differ by a rotation of 180° about the S axis, so faces keep their
orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError
from vecsetx.files import write_text, written_whole
from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.reconstruction.surfaces import Surface, axes, to_polydata
from vecsetx.reconstruction.vtk_files import add_strings, write_with_vtk
from vecsetx.suggestions import ENDINGS_ALIKE, unknown

__all__ = ["write_interfaces", "write_scene", "write_surface", "write_surfaces"]

_Arrays = dict[str, np.ndarray]

_GLTF_FROM_RAS = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]) / 1000
"""From RAS+ mm to glTF's metres: x to the patient's left, y up (superior), z to the front."""


def write_surface(
    path: Path,
    surface: Surface,
    name: str,
    label: int,
    space: str = "lps",
    observed: Bool[np.ndarray, " v"] | None = None,
    sd_mm: Float32[np.ndarray, " v"] | None = None,
) -> None:
    """Write one structure's surface in the format of the file's extension.

    Args:
        path: ``.vtp`` (with the structure's name, label and colour, and the vertex arrays below),
            ``.stl``, ``.ply`` (with the colour) or ``.obj`` (with the colour in
            ``<structure>.mtl`` beside it).
        surface: The surface.
        name: Name of a known structure.
        label: Its label in the label map that goes with the surface.
        space: Axes of the written coordinates, ``lps`` or ``ras``.
        observed: Whether each vertex is observed; None if unknown. Written to VTP files as point
            array ``observed``, 1 or 0; other files state the inferred share, ``inferred=31%``.
        sd_mm: Standard deviation of the surface's position at each vertex, mm; None if unknown.
            Written to VTP files only, as point array ``sd_mm``.

    Raises:
        InputError: The extension or the space is not supported.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        what = unknown("mesh format", path.suffix, [*_WRITERS, ".glb"], ENDINGS_ALIKE)
        raise InputError(f"{path}: {what}; .glb holds all meshes in one file")
    point_arrays = _point_arrays(observed, sd_mm)
    with written_whole(path) as unfinished:
        write(unfinished, _to_space(surface, space), name, label, space.upper(), point_arrays)
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
        space: Axes of the written coordinates, ``lps`` or ``ras``.
        label_set: Label set whose ids the accompanying label map uses; None for 1…K.
        observed: Structure name → whether each vertex is observed, as in :func:`write_surface`.
        sd_mm: Structure name → standard deviation at each vertex, as in :func:`write_surface`.

    Returns:
        The written files, in the order of ``structures``.

    Raises:
        InputError: The extension or the space is not supported.
    """
    paths: list[Path] = []
    for label, name in enumerate(structures, start=1):
        if name in surfaces:
            paths.append(out / f"{name}.{extension.lstrip('.')}")
            label_id = label_set.id_of(name) if label_set else label
            flags = observed[name] if observed else None
            deviations = sd_mm[name] if sd_mm else None
            write_surface(paths[-1], surfaces[name], name, label_id, space, flags, deviations)
    return paths


def write_scene(path: Path, surfaces: Mapping[str, Surface], space: str = "lps") -> None:
    """Write all surfaces to one ``.glb`` file, with a named, coloured node per structure.

    Coordinates are as glTF 2.0 prescribes, in metres: x points to the patient's left, y up
    (superior) and z to the front (anterior). The ``extras`` of the file's ``asset`` say how to get
    back: ``to_patient_mm`` is the ``[4, 4]`` transform, by rows, to millimetres in ``space``.

    Args:
        path: The file.
        surfaces: Structure name → surface.
        space: Axes that ``to_patient_mm`` leads to, ``lps`` or ``ras``.

    Raises:
        InputError: The space is not supported.
    """
    import trimesh

    to_patient = np.eye(4)
    to_patient[:3, :3] = np.diag(axes(space)) @ np.linalg.inv(_GLTF_FROM_RAS)
    extras = {
        "space": space.upper(),
        "unit": "mm",
        "to_patient_mm": (to_patient.round(9) + 0.0).tolist(),  # + 0.0: no negative zeros
    }
    scene = trimesh.Scene()
    for name, surface in surfaces.items():
        material = trimesh.visual.material.PBRMaterial(
            name=name,
            baseColorFactor=[*_linear(structure(name).color), 1.0],
            metallicFactor=0.0,
            roughnessFactor=0.7,
        )
        # Normals of the mesh in mm: in metres, trimesh would take small faces for points.
        normals = surface.to_trimesh().vertex_normals @ (1000 * _GLTF_FROM_RAS.T)
        mesh = trimesh.Trimesh(
            surface.vertices_mm @ _GLTF_FROM_RAS.T,
            surface.faces,
            vertex_normals=normals,
            visual=trimesh.visual.TextureVisuals(material=material),
            process=False,
        )
        scene.add_geometry(mesh, node_name=name, geom_name=name)

    def add_extras(tree: dict[str, Any]) -> None:
        tree["asset"]["extras"] = extras

    content = scene.export(file_type="glb", include_normals=True, tree_postprocessor=add_extras)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(content)


def write_interfaces(
    path: Path,
    interfaces: SharedSurface,
    structures: Sequence[str],
    label_set: LabelSet,
    space: str = "lps",
    observed: Bool[np.ndarray, " v"] | None = None,
    sd_mm: Float32[np.ndarray, " v"] | None = None,
) -> None:
    """Write the mesh that all structures share as ``.vtp``.

    Cell data: ``Sides``, the ids on the two sides of each face (0 is background; the normal points
    from the first to the second), and ``Color``, that of the first side. Point data: ``observed``,
    1 or 0, and ``sd_mm``, if given. Field data: ``Ids`` and ``Structures`` map ids to structures.

    Args:
        path: The file.
        interfaces: The shared mesh.
        structures: Names of the K structures.
        label_set: Label set that defines their ids.
        space: Axes of the written coordinates, ``lps`` or ``ras``.
        observed: Whether each vertex is observed; None if unknown.
        sd_mm: Standard deviation at each vertex, mm; None if unknown.

    Raises:
        InputError: The space is not supported.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    surface = _to_space(Surface(interfaces.vertices_mm.astype(np.float32), interfaces.faces), space)
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
    _add_point_arrays(polydata, _point_arrays(observed, sd_mm))
    add_strings(polydata, "SPACE", [space.upper()])
    add_strings(polydata, "Structures", structures)
    numbers = numpy_to_vtk(ids[1:], deep=True)
    numbers.SetName("Ids")
    polydata.GetFieldData().AddArray(numbers)
    with written_whole(path) as unfinished:
        write_with_vtk(vtkXMLPolyDataWriter(), polydata, unfinished)


def _to_space(surface: Surface, space: str) -> Surface:
    """Convert a surface from RAS+ mm to ``space``."""
    return Surface(surface.vertices_mm * axes(space), surface.faces)


def _linear(color: tuple[int, int, int]) -> list[float]:
    """Convert a display colour (sRGB, IEC 61966-2-1) to linear intensities 0…1, as glTF needs."""
    encoded = np.array(color) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return [float(intensity) for intensity in linear]


def _write_vtp(
    path: Path,
    surface: Surface,
    name: str,
    label: int,
    space: str,
    point_arrays: _Arrays,
) -> None:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkIntArray
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    polydata = to_polydata(surface.vertices_mm, surface.faces)
    for key, text in (("SPACE", space), ("Structure", name), ("Title", structure(name).title)):
        add_strings(polydata, key, [text])
    number = vtkIntArray()
    number.SetName("Label")
    number.InsertNextValue(label)
    polydata.GetFieldData().AddArray(number)
    color = numpy_to_vtk(np.array([structure(name).color], dtype=np.uint8), deep=True)
    color.SetName("Color")
    polydata.GetFieldData().AddArray(color)
    _add_point_arrays(polydata, point_arrays)
    write_with_vtk(vtkXMLPolyDataWriter(), polydata, path)


def _point_arrays(
    observed: Bool[np.ndarray, " v"] | None, sd_mm: Float32[np.ndarray, " v"] | None
) -> _Arrays:
    """Return the given vertex arrays by name."""
    arrays: _Arrays = {}
    if observed is not None:
        arrays["observed"] = observed.astype(np.uint8)
    if sd_mm is not None:
        arrays["sd_mm"] = sd_mm
    return arrays


def _add_point_arrays(polydata: Any, arrays: _Arrays) -> None:
    from vtkmodules.util.numpy_support import numpy_to_vtk

    for name, values in arrays.items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        polydata.GetPointData().AddArray(array)


def _header(name: str, space: str, point_arrays: _Arrays) -> str:
    """Return what files without arrays say of a surface, in at most 80 characters."""
    observed = point_arrays.get("observed")
    share = 0.0 if observed is None or not len(observed) else 1 - observed.mean()
    inferred = f" inferred={share:.0%}" if share > 0 else ""
    return f"SPACE={space} unit=mm {name}{inferred}"


def _write_stl(
    path: Path, surface: Surface, name: str, label: int, space: str, point_arrays: _Arrays
) -> None:
    from vtkmodules.vtkIOGeometry import vtkSTLWriter

    writer = vtkSTLWriter()
    writer.SetFileTypeToBinary()
    writer.SetHeader(_header(name, space, point_arrays))
    write_with_vtk(writer, to_polydata(surface.vertices_mm, surface.faces), path)


def _write_ply(
    path: Path, surface: Surface, name: str, label: int, space: str, point_arrays: _Arrays
) -> None:
    from vtkmodules.vtkIOPLY import vtkPLYWriter

    writer = vtkPLYWriter()
    writer.AddComment(_header(name, space, point_arrays))
    writer.SetColorModeToUniformColor()
    writer.SetColor(*structure(name).color)
    write_with_vtk(writer, to_polydata(surface.vertices_mm, surface.faces), path)


def _write_obj(
    path: Path, surface: Surface, name: str, label: int, space: str, point_arrays: _Arrays
) -> None:
    import trimesh

    mesh = trimesh.Trimesh(surface.vertices_mm, surface.faces, process=False)
    header = _header(name, space, point_arrays)
    text: str = trimesh.exchange.obj.export_obj(mesh, include_color=False, header=header)
    # The material must be named before the faces that use it.
    first_vertex = text.index("\nv ")
    material = f"\nmtllib {name}.mtl\nusemtl {name}"
    path.write_text(text[:first_vertex] + material + text[first_vertex:], encoding="utf-8")


def _write_material(path: Path, name: str) -> None:
    """Write the colour of an ``.obj`` file to the material file that it names."""
    red, green, blue = (part / 255 for part in structure(name).color)
    write_text(path, f"newmtl {name}\nKd {red:.4f} {green:.4f} {blue:.4f}\n")


_WRITERS: dict[str, Callable[[Path, Surface, str, int, str, _Arrays], None]] = {
    ".vtp": _write_vtp,
    ".stl": _write_stl,
    ".ply": _write_ply,
    ".obj": _write_obj,
}
