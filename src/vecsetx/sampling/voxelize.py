"""Voxelizing closed surfaces."""

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.sampling.distance import ClosedSurfaces

_VOXEL_MM = 0.8


def voxelize_surfaces(closed_surfaces: ClosedSurfaces) -> LabelMap:
    """Return the label map (1…K) of closed surfaces, on a grid along the RAS axes around them all.

    The voxels are 0.8 mm large. A voxel belongs to the structure that contains its centre; if there
    are several, to the last one.
    """
    vertices = np.concatenate([vertices for vertices, _ in closed_surfaces])
    low = vertices.min(axis=0) - _VOXEL_MM
    shape = np.ceil((vertices.max(axis=0) + _VOXEL_MM - low) / _VOXEL_MM).astype(int) + 1
    labels = np.zeros(shape, dtype=np.uint8)
    for label, (vertices_mm, faces) in enumerate(closed_surfaces, 1):
        if len(faces):
            labels[_inside(vertices_mm, faces, low, shape)] = label
    affine = np.diag([_VOXEL_MM, _VOXEL_MM, _VOXEL_MM, 1.0])
    affine[:3, 3] = low
    return LabelMap(labels, affine)


def _inside(
    vertices_mm: np.ndarray, faces: np.ndarray, low: np.ndarray, shape: np.ndarray
) -> np.ndarray:
    """Return which voxels ``[I, J, K]`` of the grid from ``low`` on have their centre inside."""
    points, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices_mm - low), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces.ravel()), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    stencil, image = vtkPolyDataToImageStencil(), vtkImageStencilToImage()
    stencil.SetInputData(surface)
    stencil.SetOutputSpacing(_VOXEL_MM, _VOXEL_MM, _VOXEL_MM)
    stencil.SetOutputWholeExtent(0, int(shape[0]) - 1, 0, int(shape[1]) - 1, 0, int(shape[2]) - 1)
    stencil.SetTolerance(0)
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    flat = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars())
    return flat.reshape(tuple(shape), order="F") > 0
