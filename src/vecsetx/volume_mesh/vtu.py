"""Tetrahedral meshes as VTK's unstructured grids (``.vtu``), which ParaView and PyVista open."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
from vtkmodules.vtkCommonDataModel import VTK_TETRA, vtkCellArray, vtkUnstructuredGrid
from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridWriter

from vecsetx.files import written_whole
from vecsetx.reconstruction.surfaces import axes
from vecsetx.reconstruction.vtk_files import write_with_vtk
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["write_vtu"]


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
    signs = axes(space)
    grid = vtkUnstructuredGrid()
    points = vtkPoints()
    points.SetData(numpy_to_vtk((mesh.points_mm * signs).astype(np.float32), deep=True))
    grid.SetPoints(points)
    corners = mesh.tetrahedra if signs.prod() > 0 else mesh.tetrahedra[:, [1, 0, 2, 3]]
    cells = vtkCellArray()
    offsets = np.arange(0, 4 * len(corners) + 1, 4, dtype=np.int64)
    cells.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_to_vtkIdTypeArray(corners.astype(np.int64).ravel(), deep=True),
    )
    grid.SetCells(VTK_TETRA, cells)
    of_region = np.array([0, *ids], dtype=np.int32)
    region = numpy_to_vtk(of_region[mesh.region], deep=True)
    region.SetName("region")
    grid.GetCellData().SetScalars(region)
    numbers = numpy_to_vtk(of_region[1:], deep=True)
    numbers.SetName("Ids")
    grid.GetFieldData().AddArray(numbers)
    for key, values in (("SPACE", [space.upper()]), ("Structures", names)):
        strings = vtkStringArray()
        strings.SetName(key)
        for value in values:
            strings.InsertNextValue(value)
        grid.GetFieldData().AddArray(strings)
    writer = vtkXMLUnstructuredGridWriter()
    writer.SetDataModeToAppended()
    writer.SetEncodeAppendedData(False)
    writer.SetCompressorTypeToZLib()
    with written_whole(path) as unfinished:
        write_with_vtk(writer, grid, unfinished)
