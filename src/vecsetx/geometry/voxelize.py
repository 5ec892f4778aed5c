"""Convert closed surfaces to a label map."""

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.distance import ClosedSurfaces

__all__ = ["voxelize_surfaces"]

_VOXEL_MM = 0.8


def voxelize_surfaces(closed_surfaces: ClosedSurfaces) -> LabelMap:
    """Return the label map (1…K) of K closed surfaces, on a grid along R, A and S around them.

    The voxels are cubes of 0.8 mm. A voxel belongs to the structure that contains its centre; if
    several do, to the last of them.
    """
    vertices = np.concatenate([vertices for vertices, _ in closed_surfaces])
    low = vertices.min(axis=0) - _VOXEL_MM
    shape = np.ceil((vertices.max(axis=0) + _VOXEL_MM - low) / _VOXEL_MM).astype(int) + 1
    labels = np.zeros(shape, dtype=np.uint8)
    for label, (vertices_mm, faces) in enumerate(closed_surfaces, 1):
        if len(faces):
            used = vertices_mm[faces.ravel()]
            first = np.maximum(np.floor((used.min(axis=0) - low) / _VOXEL_MM).astype(int), 0)
            last = np.ceil((used.max(axis=0) - low) / _VOXEL_MM).astype(int)
            part = labels[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))]
            part[_inside(vertices_mm, faces, low, first, last)] = label
    affine = np.diag([_VOXEL_MM, _VOXEL_MM, _VOXEL_MM, 1.0])
    affine[:3, 3] = low
    return LabelMap(labels, affine)


def _inside(
    vertices_mm: np.ndarray,
    faces: np.ndarray,
    low: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return whether the centre of each voxel in a box is inside, ``[I, J, K]``.

    Args:
        vertices_mm: ``[V, 3]``.
        faces: ``[F, 3]``.
        low: Centre of the grid's first voxel, mm.
        first: Indices of the box's first voxel.
        last: Indices of its last voxel, in the grid.
    """
    points, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    # 1. To VTK, in mm from the first voxel's centre.
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices_mm - low), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces.ravel()), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    # 2. Scan-convert the surface: a stencil of the voxels inside, then an image of 0 and 1.
    stencil, image = vtkPolyDataToImageStencil(), vtkImageStencilToImage()
    stencil.SetInputData(surface)
    stencil.SetOutputSpacing(_VOXEL_MM, _VOXEL_MM, _VOXEL_MM)
    stencil.SetOutputWholeExtent(*np.stack([first, last], axis=1).ravel().tolist())
    stencil.SetTolerance(0)  # no margin within which centres outside would count
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    # In VTK, the first axis varies fastest.
    flat = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars())
    return flat.reshape(tuple(last - first + 1), order="F") > 0
