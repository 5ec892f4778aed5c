"""Tetrahedral meshes (``.vtu``) and their interfaces (``.vtp``), as ParaView opens them."""

from pathlib import Path
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import VTK_TETRA, vtkCellArray, vtkUnstructuredGrid
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter, vtkXMLUnstructuredGridWriter

from vecsetx.files import written_whole
from vecsetx.reconstruction.surfaces import axes, to_polydata
from vecsetx.reconstruction.vtk_files import add_strings, write_with_vtk
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["add_array", "to_grid", "write_vtp", "write_vtu", "write_xml"]


def write_vtu(whole: SolverMesh, path: Path, space: str = "lps") -> None:
    """Write a mesh.

    Each tetrahedron has the id of its structure in the cell array ``region``, and a cell array for
    each of its vectors; each vertex has a point array for each of its coordinates, and one for each
    set of nodes, such as ``mitral ring``: 1 for those in it, 0 for others. The field data say which
    structure has which id (``Structures``, ``Ids``), and the axes (``SPACE``). Points are in mm.

    Args:
        whole: The mesh, with all that is known of it.
        path: The file.
        space: Axes of the file, ``lps`` or ``ras``.

    Raises:
        OSError: The file cannot be written completely.
    """
    mesh, signs = whole.mesh, axes(space)
    grid = to_grid(mesh, space)
    of_region = np.array([0, *whole.ids], dtype=np.int32)
    add_array(grid.GetCellData(), "region", of_region[mesh.region])
    for name, vectors in whole.vectors.items():
        add_array(grid.GetCellData(), name, (vectors * signs).astype(np.float32))
    for name, numbers in whole.coordinates.items():
        add_array(grid.GetPointData(), name, numbers.astype(np.float32))
    _add_sets(grid.GetPointData(), whole, np.arange(len(mesh.points_mm)))
    add_array(grid.GetFieldData(), "Ids", of_region[1:])
    add_strings(grid, "SPACE", [space.upper()])
    add_strings(grid, "Structures", whole.names)
    write_xml(vtkXMLUnstructuredGridWriter(), grid, path)


def write_vtp(whole: SolverMesh, path: Path, space: str = "lps") -> None:
    """Write the interfaces of a mesh.

    The cell arrays say for each facet the ids on its two sides (``Sides``; 0 is the background, and
    the normal points from the first to the second) and its interface (``Interface``, an index of
    the field array ``Interfaces``, their names). The point array ``Node`` has the vertex of the
    whole mesh; there is another one for each set of nodes, as in the file of the mesh.

    Args:
        whole: The mesh, with all that is known of it.
        path: The file, ``.vtp``.
        space: Axes of the file, ``lps`` or ``ras``.

    Raises:
        OSError: The file cannot be written completely.
    """
    interfaces = whole.interfaces
    facets = np.concatenate([interface.facets for interface in interfaces])
    counts = [len(interface.facets) for interface in interfaces]
    nodes, faces = np.unique(facets, return_inverse=True)
    points_mm = (whole.mesh.points_mm[nodes] * axes(space)).astype(np.float32)
    polydata = to_polydata(points_mm, faces.reshape(-1, 3))
    of_region = np.array([0, *whole.ids], dtype=np.int32)
    sides = of_region[np.array([interface.sides for interface in interfaces])]
    number = np.arange(len(interfaces), dtype=np.int32)
    add_array(polydata.GetCellData(), "Sides", np.repeat(sides, counts, axis=0))
    add_array(polydata.GetCellData(), "Interface", np.repeat(number, counts))
    add_array(polydata.GetPointData(), "Node", nodes.astype(np.int64))
    _add_sets(polydata.GetPointData(), whole, nodes)
    add_array(polydata.GetFieldData(), "Ids", of_region[1:])
    add_strings(polydata, "SPACE", [space.upper()])
    add_strings(polydata, "Structures", whole.names)
    add_strings(polydata, "Interfaces", [interface.name for interface in interfaces])
    write_xml(vtkXMLPolyDataWriter(), polydata, path)


def to_grid(mesh: TetrahedralMesh, space: str) -> vtkUnstructuredGrid:
    """Return a mesh as VTK's, with points in mm and in the axes of a space."""
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
    return grid


def add_array(to: Any, name: str, values: np.ndarray) -> None:
    """Add an array to cell, point or field data."""
    array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
    array.SetName(name)
    to.AddArray(array)


def write_xml(writer: Any, data: Any, path: Path) -> None:
    """Write polydata or an unstructured grid, compressed.

    Raises:
        OSError: The file cannot be written completely.
    """
    writer.SetDataModeToAppended()
    writer.SetEncodeAppendedData(False)
    writer.SetCompressorTypeToZLib()
    with written_whole(path) as unfinished:
        write_with_vtk(writer, data, unfinished)


def _add_sets(to: Any, whole: SolverMesh, nodes: np.ndarray) -> None:
    for name, vertices in whole.node_sets.items():
        add_array(to, name, np.isin(nodes, vertices).astype(np.uint8))
