"""Tetrahedral meshes (``.vtu``) and their interfaces (``.vtp``), as ParaView opens them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import VTK_TETRA, vtkCellArray, vtkUnstructuredGrid
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter, vtkXMLUnstructuredGridWriter

from vecsetx.files import written_whole
from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.reconstruction.surfaces import axes, to_polydata
from vecsetx.reconstruction.vtk_files import add_strings, write_with_vtk
from vecsetx.volume_mesh.interfaces import name_of
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["write_vtp", "write_vtu"]


def write_vtu(
    mesh: TetrahedralMesh, names: Sequence[str], ids: Sequence[int], path: Path, space: str = "lps"
) -> None:
    """Write a mesh.

    Each tetrahedron has the id of its structure in the cell array ``region``. The field data say
    which structure has which id (``Structures``, ``Ids``), and the axes (``SPACE``). Coordinates
    are in mm.

    Args:
        mesh: The mesh.
        names: Names of its K regions.
        ids: Their ids.
        path: The file.
        space: Axes of the file, ``lps`` or ``ras``.

    Raises:
        OSError: The file cannot be written completely.
    """
    grid = vtkUnstructuredGrid()
    points = vtkPoints()
    points.SetData(numpy_to_vtk((mesh.points_mm * axes(space)).astype(np.float32), deep=True))
    grid.SetPoints(points)
    cells = vtkCellArray()
    offsets = np.arange(0, 4 * len(mesh.tetrahedra) + 1, 4, dtype=np.int64)
    corners = mesh.tetrahedra.astype(np.int64).ravel()
    cells.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(corners, deep=True)
    )
    grid.SetCells(VTK_TETRA, cells)
    of_region = np.array([0, *ids], dtype=np.int32)
    _add(grid.GetCellData(), "region", of_region[mesh.region])
    _add(grid.GetFieldData(), "Ids", of_region[1:])
    add_strings(grid, "SPACE", [space.upper()])
    add_strings(grid, "Structures", names)
    _write(vtkXMLUnstructuredGridWriter(), grid, path)


def write_vtp(
    path: Path,
    surface: SharedSurface,
    names: Sequence[str],
    ids: Sequence[int],
    space: str = "lps",
) -> None:
    """Write the interfaces of a mesh.

    The cell arrays say for each facet the ids on its two sides (``Sides``; 0 is the background, and
    the normal points from the first to the second) and its interface (``Interface``, an index of
    the field array ``Interfaces``, their names). The point array ``Node`` has the vertex of the
    whole mesh.

    Args:
        path: The file, ``.vtp``.
        surface: Facets between regions, with all vertices of the mesh.
        names: Names of the K regions.
        ids: Their ids.
        space: Axes of the file, ``lps`` or ``ras``.

    Raises:
        OSError: The file cannot be written completely.
    """
    nodes, faces = np.unique(surface.faces, return_inverse=True)
    points_mm = (surface.vertices_mm[nodes] * axes(space)).astype(np.float32)
    polydata = to_polydata(points_mm, faces.reshape(-1, 3))
    pairs, interface = np.unique(surface.sides, axis=0, return_inverse=True)
    of_region = np.array([0, *ids], dtype=np.int32)
    _add(polydata.GetCellData(), "Sides", of_region[surface.sides])
    _add(polydata.GetCellData(), "Interface", interface.ravel().astype(np.int32))
    _add(polydata.GetPointData(), "Node", nodes.astype(np.int64))
    _add(polydata.GetFieldData(), "Ids", of_region[1:])
    interfaces = [name_of(pair, names) for pair in pairs.tolist()]
    add_strings(polydata, "SPACE", [space.upper()])
    add_strings(polydata, "Structures", names)
    add_strings(polydata, "Interfaces", interfaces)
    _write(vtkXMLPolyDataWriter(), polydata, path)


def _add(to: Any, name: str, values: np.ndarray) -> None:
    array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
    array.SetName(name)
    to.AddArray(array)


def _write(writer: Any, data: Any, path: Path) -> None:
    writer.SetDataModeToAppended()
    writer.SetEncodeAppendedData(False)
    writer.SetCompressorTypeToZLib()
    with written_whole(path) as unfinished:
        write_with_vtk(writer, data, unfinished)
