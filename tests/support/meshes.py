"""A ball without any symmetry, and a way to write VTP files."""

import numpy as np
import trimesh
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter


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
