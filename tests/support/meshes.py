"""A ball without any symmetry, and ways to write meshes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trimesh
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from vecsetx.reconstruction.mesh_export import write_surface
from vecsetx.reconstruction.surfaces import Surface


def bent_ball(subdivisions=2):
    """A ball of 20 mm, bent so that no symmetry is left, away from the origin."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=20.0)
    x, y, z = ball.vertices.T
    bent = np.column_stack([x + 0.02 * y**2 + 0.1 * z, y + 0.015 * z * z, z + 0.01 * x * y])
    vertices = (bent + [30, -70, 110]).astype(np.float32)
    return vertices.astype(np.float64), np.asarray(ball.faces, np.int64)


def write_vtp(path, polydata, space=None):
    if space:
        entry = vtkStringArray()
        entry.SetName("SPACE")
        entry.InsertNextValue(space)
        polydata.GetFieldData().AddArray(entry)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(polydata)
    writer.Write()
    return path


def write_meshes(
    folder: Path, names: Sequence[str] = ("LV", "RV"), extension: str = "vtp", space: str = "lps"
) -> Path:
    """Write a bent ball for each structure, side by side; return the folder."""
    vertices, faces = bent_ball()
    folder.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(names, start=1):
        surface = Surface((vertices + [0, 60 * label, 0]).astype(np.float32), faces)
        write_surface(folder / f"{name}.{extension}", surface, name, label, space)
    return folder
