"""Convert closed surfaces to a label map."""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.distance import ClosedSurfaces

__all__ = ["voxelize_surfaces"]

_VOXEL_MM = 0.8


def voxelize_surfaces(closed_surfaces: ClosedSurfaces, voxel_mm: float = _VOXEL_MM) -> LabelMap:
    """Return the label map (1…K) of K closed surfaces, on a grid along R, A and S around them.

    A voxel belongs to the structure that contains its centre; if several do, to the last of them.

    Args:
        closed_surfaces: Vertices (mm) and outward-facing faces of each of the K structures.
        voxel_mm: Side of the voxels, which are cubes.
    """
    vertices = np.concatenate([vertices for vertices, _ in closed_surfaces])
    low = vertices.min(axis=0) - voxel_mm
    shape = np.ceil((vertices.max(axis=0) + voxel_mm - low) / voxel_mm).astype(int) + 1
    labels = np.zeros(shape, dtype=np.uint8)
    for label, (vertices_mm, faces) in enumerate(closed_surfaces, 1):
        if len(faces):
            used = vertices_mm[faces.ravel()]
            first = np.maximum(np.floor((used.min(axis=0) - low) / voxel_mm).astype(int), 0)
            last = np.ceil((used.max(axis=0) - low) / voxel_mm).astype(int)
            part = labels[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))]
            part[_inside(vertices_mm - low, faces, voxel_mm, first, last)] = label
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = low
    return LabelMap(labels, affine)


def _inside(
    vertices_mm: np.ndarray,
    faces: np.ndarray,
    voxel_mm: float,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return whether the centre of each voxel in a box is inside, ``[I, J, K]``.

    Args:
        vertices_mm: ``[V, 3]``, from the centre of the grid's first voxel.
        faces: ``[F, 3]``.
        voxel_mm: Side of the voxels.
        first: Indices of the box's first voxel.
        last: Indices of its last voxel, in the grid.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    points, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    # 1. To VTK.
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices_mm), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces.ravel()), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    # 2. Scan-convert the surface: a stencil of the voxels inside, then an image of 0 and 1.
    stencil, image = vtkPolyDataToImageStencil(), vtkImageStencilToImage()
    stencil.SetInputData(surface)
    stencil.SetOutputSpacing(voxel_mm, voxel_mm, voxel_mm)
    stencil.SetOutputWholeExtent(*np.stack([first, last], axis=1).ravel().tolist())
    stencil.SetTolerance(0)  # no margin within which centres outside would count
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    # In VTK, the first axis varies fastest.
    flat = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars())
    return flat.reshape(tuple(last - first + 1), order="F") > 0
