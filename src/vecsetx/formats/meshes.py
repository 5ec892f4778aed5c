"""Mesh files of single structures, as closed meshes in RAS+ mm.

Programs write meshes in LPS+ or RAS+, and few formats record which. As in 3D Slicer, an entry
``SPACE=LPS`` or ``SPACE=RAS`` in the header (STL), a comment (PLY, OBJ) or field data (VTP) is
honoured. The two differ by a rotation of 180° about the S axis, so faces keep their orientation.
No format records the unit.
"""

import re
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow
from vtkmodules.vtkFiltersCore import vtkTriangleFilter
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx.anatomy.size import mm_per
from vecsetx.errors import InputError
from vecsetx.formats.closed_mesh import ClosedMesh, closed_mesh

MESH_ENDINGS = (".vtp", ".stl", ".ply", ".obj")
"""File extensions of the supported mesh formats."""

_RAS_FROM = {"lps": np.array([-1.0, -1.0, 1.0]), "ras": np.ones(3)}  # factors per axis
_FARTHEST = 1e12  # in any unit; volumes of such lengths stay finite
_HEADER_BYTES = 1 << 14  # enough for the header and comments
_VTK_OUTPUT = Lock()  # VTK has one output window for all threads
_TAG = re.compile(rb"SPACE\s*=\s*(LPS|RAS)\b", re.IGNORECASE)


def is_mesh(path: Path) -> bool:
    """Return whether the file has the extension of a supported mesh format."""
    return path.name.lower().endswith(MESH_ENDINGS)


def read_mesh(path: Path, space: str = "lps", units: str = "mm") -> ClosedMesh:
    """Read a closed surface; see :func:`~vecsetx.formats.closed_mesh.closed_mesh`.

    Args:
        path: ``.vtp``, ``.stl``, ``.ply`` or ``.obj``; polygons are split into triangles.
        space: Axes of the coordinates, ``lps`` or ``ras``, if the file does not specify them.
        units: Unit of the coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.

    Raises:
        InputError: The file is missing or unreadable, or its surface is empty, not finite, not
            closed, flat, or faces both inwards and outwards.
    """
    mm = mm_per(units, path)
    vertices, faces, tag = _read_vtp(path) if path.suffix.lower() == ".vtp" else _read_plain(path)
    if len(faces) == 0:
        raise InputError(f"{path}: contains no faces; export the surface again")
    within = (np.abs(vertices) < _FARTHEST).all(axis=1)  # not so for NaN
    if not within.all():
        row = int(np.flatnonzero(~within)[0])
        raise InputError(
            f"{path}: vertex {row} is not finite or beyond {_FARTHEST:g} "
            f"({vertices[row].tolist()}); export it again"
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to a vertex that does not exist; export it again")
    return closed_mesh(vertices * (mm * ras_factors(tag or space, path)), faces, path)


def ras_factors(space: str, source: Path) -> np.ndarray:
    """Return the factors ``[3]`` that convert coordinates in ``space`` to RAS+.

    Args:
        space: ``lps`` or ``ras``, in any case.
        source: The file, for error messages.

    Raises:
        InputError: The space is neither.
    """
    if space.lower() not in _RAS_FROM:
        raise InputError(f"{source}: unknown space {space!r}; coordinates are in lps or ras")
    return _RAS_FROM[space.lower()]


def _read_plain(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Read vertices, faces and the space named in the header of an STL, PLY or OBJ file."""
    if not is_mesh(path):
        raise InputError(f"{path}: unsupported mesh format; give {', '.join(MESH_ENDINGS)}")
    import trimesh  # here, because it takes a second to import and label maps do not need it

    try:
        with open(path, "rb") as file:
            head = file.read(_HEADER_BYTES)
        if path.suffix.lower() == ".stl":
            _check_stl(path, head)
        mesh: Any = trimesh.load_mesh(path, process=False, maintain_order=True)
        vertices = np.array(mesh.vertices, np.float64)
        faces = np.array(mesh.faces, np.int64).reshape(-1, 3)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # for damaged files, trimesh passes on any error of numpy
        raise InputError(f"{path}: cannot be read as a mesh ({error}); export it again") from error
    tag = _TAG.search(_header(head, path.suffix.lower()))
    return vertices.reshape(-1, 3), faces, tag[1].decode() if tag else None


def _check_stl(path: Path, head: bytes) -> None:
    faces = int.from_bytes(head[80:84], "little")
    # Binary STL: 80 bytes of text, the number of faces, 50 bytes per face. ASCII STL has "facet".
    found = (path.stat().st_size - 84) // 50
    if b"facet" not in head and found != faces:
        raise InputError(
            f"{path}: truncated or not an STL file ({max(found, 0)} of {faces} faces found); copy "
            "or export it again"
        )


def _header(head: bytes, suffix: str) -> bytes:
    """Return the part of a file's first bytes that may name a space."""
    if suffix == ".stl":
        return head[:80]
    if suffix == ".ply":
        return head.split(b"end_header")[0]
    return b"\n".join(line for line in head.splitlines() if line.startswith(b"#"))


def read_polydata(path: Path) -> Any:
    """Read a ``.vtp`` file as VTK polydata, with VTK's errors as :class:`InputError`.

    Raises:
        InputError: The file is missing or unreadable.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    # VTK's parser reports errors only to VTK's output window and to its log, on the terminal.
    captured = vtkStringOutputWindow()
    with _VTK_OUTPUT:
        window, verbosity = vtkOutputWindow.GetInstance(), vtkLogger.GetCurrentVerbosityCutoff()
        vtkOutputWindow.SetInstance(captured)
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        try:
            reader.Update()
        finally:
            vtkOutputWindow.SetInstance(window)
            vtkLogger.SetStderrVerbosity(verbosity)
    if output := captured.GetOutput().strip():
        message = re.search(r"\(0x[0-9a-f]+\): (.*)", output)
        reason = message[1] if message else output.splitlines()[0]
        raise InputError(f"{path}: cannot be read as VTP ({reason}); export it again")
    return reader.GetOutput()


def polydata_space(polydata: Any) -> str | None:
    """Return the space that the field data ``SPACE`` names, as in 3D Slicer, or None."""
    named = polydata.GetFieldData().GetAbstractArray("SPACE")
    return named.GetVariantValue(0).ToString() if named and named.GetNumberOfValues() else None


def polydata_points(polydata: Any) -> np.ndarray:
    """Return the points ``[N, 3]`` as stored, float64."""
    if polydata.GetNumberOfPoints() == 0:
        return np.empty((0, 3))
    return vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float64)


def _read_vtp(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    polydata = read_polydata(path)
    triangles = vtkTriangleFilter()
    triangles.SetInputData(polydata)
    triangles.PassVertsOff()
    triangles.PassLinesOff()
    triangles.Update()
    cells = triangles.GetOutput().GetPolys()
    if cells.GetNumberOfCells() == 0:
        return np.empty((0, 3)), np.empty((0, 3), np.int64), None
    faces = vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    return polydata_points(triangles.GetOutput()), faces, polydata_space(polydata)
