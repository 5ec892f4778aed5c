"""Smooth, closed surfaces of every structure: fitting together, or each by itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import fast_simplification
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from vecsetx.anatomy import sign
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import ExclusiveOctree, evaluate_exclusive, evaluate_overlapping
from vecsetx.reconstruction.surface_net import shared_interfaces
from vecsetx.sampling.interfaces import SharedSurface, shared_surface

if TYPE_CHECKING:
    import pyvista
    import trimesh

_CLEARANCE_VOXELS = 1e-3
"""No vertex comes nearer to a voxel centre: there the vertices of several edges would fall into
one, and programs that merge equal vertices (every reader of STL does) would find holes."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A triangle mesh in RAS+ mm.

    Attributes:
        vertices_mm: ``[V, 3]`` float32.
        faces: ``[F, 3]`` vertex indices, counter-clockwise seen from outside.
    """

    vertices_mm: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]

    @property
    def area_mm2(self) -> float:
        """Area of all faces."""
        a, b, c = self._corners()
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @property
    def volume_mm3(self) -> float:
        """Volume enclosed; negative if the faces look inwards. Only closed surfaces have one."""
        a, b, c = self._corners()
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @property
    def watertight(self) -> bool:
        """Whether every edge has two faces, which agree on what is outside."""
        edges = self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
        count = len(self.vertices_mm)
        along, against = edges @ [count, 1], edges @ [1, count]
        return len(np.unique(along)) == len(along) and bool(np.isin(along, against).all())

    def to_trimesh(self) -> "trimesh.Trimesh":
        """The same as a mesh of trimesh, vertices as they are."""
        import trimesh

        return trimesh.Trimesh(self.vertices_mm, self.faces, process=False)

    def to_pyvista(self) -> "pyvista.PolyData":
        """The same as a mesh of PyVista, which has to be installed."""
        import pyvista

        return pyvista.PolyData.from_regular_faces(self.vertices_mm, self.faces)

    def _corners(self) -> np.ndarray:
        """Corners of every face about the mesh's centre, ``[3, F, 3]`` float64."""
        vertices = self.vertices_mm.astype(np.float64)
        if len(vertices):  # sums of large coordinates would lose digits
            vertices -= vertices.mean(axis=0)
        corners: np.ndarray = vertices[self.faces.T]
        return corners


def field_surfaces(field: DistanceField, grid: Grid) -> dict[str, Surface]:
    """Surfaces of all structures of a field, meshed on a grid; neighbours share their walls.

    Args:
        field: What to mesh.
        grid: Where; its spacing decides how fine the mesh is.

    Returns:
        Structure name → surface, in the field's order; structures with nothing inside are left out.
    """
    return octree_surfaces(evaluate_exclusive(field, grid))


def octree_surfaces(octree: ExclusiveOctree) -> dict[str, Surface]:
    """As :func:`field_surfaces`, for a field already evaluated."""
    return structure_surfaces(shared_interfaces(octree), octree.structures)


def structure_surfaces(
    interfaces: SharedSurface, structures: tuple[str, ...]
) -> dict[str, Surface]:
    """The closed surface of each structure, out of the one mesh that they share.

    Args:
        interfaces: The walls between labels 1…K, in the order of ``structures``.
        structures: Names of the K structures.

    Returns:
        Structure name → surface; absent structures are left out.
    """
    surfaces: dict[str, Surface] = {}
    for label, name in enumerate(structures, start=1):
        vertices_mm, faces = interfaces.of(label)
        if len(faces):
            surfaces[name] = Surface(vertices_mm.astype(np.float32), faces)
    return surfaces


def closed_surfaces(field: DistanceField, grid: Grid) -> dict[str, Surface]:
    """The surface of each structure by itself: the zero level of its own distance.

    Each is watertight, with two faces at every edge. They know nothing of each other: where the
    field's structures overlap, so do the surfaces (a coronary that runs through the myocardium
    stays whole), and between neighbours there may be a gap thinner than a voxel. Structures that
    reach the edge of the grid are closed there, half a voxel beyond the last voxel.

    Args:
        field: What to mesh.
        grid: Where; its spacing decides how fine the mesh is.

    Returns:
        Structure name → surface, in the field's order; structures with nothing inside are left out.
    """
    octree = evaluate_overlapping(field, grid)
    surfaces: dict[str, Surface] = {}
    for index, name in enumerate(octree.structures):
        inside = (octree.sides >> index & 1).astype(np.uint8)
        box = ndimage.find_objects(inside)
        if not box:
            continue
        low = np.maximum([side.start - 1 for side in box[0]], 0)
        high = np.minimum([side.stop + 1 for side in box[0]], grid.shape)
        distances_mm = octree.distances_mm(index, low, high)
        surfaces[name] = zero_surface(
            distances_mm, inside[tuple(map(slice, low, high))].astype(bool), grid, low
        )
    return surfaces


def zero_surface(
    distances_mm: Float[np.ndarray, "i j k"],
    inside: Bool[np.ndarray, "i j k"],
    grid: Grid,
    low: Int[np.ndarray, "3"],
) -> Surface:
    """The closed surface between the voxels inside and the voxels outside.

    Args:
        distances_mm: Distances on part of a grid; where along a voxel edge the surface lies.
        inside: Which voxels of the part are inside. This decides the sign, so that the surface
            agrees with the label map even where distances are exactly 0 or tied.
        grid: The whole grid.
        low: The part's first voxel along each axis.

    Returns:
        The surface in RAS+ mm; flying edges (Schroeder, Maynard, Geveci, LDAV 2015).
    """
    clear_mm = np.float32(_CLEARANCE_VOXELS * grid.spacing_mm.min())
    magnitude = np.maximum(np.abs(distances_mm), clear_mm)
    # One more layer of voxels, all outside, closes the surface half-way to it.
    signed = sign.outward(np.pad(magnitude, 1, mode="edge"), np.pad(inside, 1))
    image = vtkImageData()
    image.SetDimensions(*signed.shape)
    image.GetPointData().SetScalars(numpy_to_vtk(signed.ravel(order="F")))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    indices, faces = _arrays(contour.GetOutput())
    # Flying edges turns faces towards falling values, which is inwards here; a mirroring affine
    # turns them once more.
    mirrored = np.linalg.det(grid.affine[:3, :3]) < 0
    vertices_mm = grid.to_mm(indices.astype(np.float64) + (low - 1)).astype(np.float32)
    return Surface(vertices_mm, faces if mirrored else np.ascontiguousarray(faces[:, ::-1]))


def decimate(surface: Surface, target_faces: int) -> Surface:
    """A coarser surface for display, by quadric edge collapse (Garland, Heckbert, SIGGRAPH 1997).

    Neighbouring structures are decimated apart from each other, so their walls no longer match
    exactly. A surface that is coarse enough already comes back as it is.
    """
    if target_faces < 4:
        raise InputError(f"a closed surface needs at least 4 faces, not {target_faces}")
    if len(surface.faces) <= target_faces:
        return surface
    vertices, faces = fast_simplification.simplify(
        surface.vertices_mm, surface.faces.astype(np.int32), target_count=target_faces
    )
    return Surface(vertices, faces.astype(np.int64))


def label_map_surfaces(label_map: LabelMap, structures: tuple[str, ...]) -> dict[str, Surface]:
    """Surfaces of a label map, smoothed as for sampling, to show beside reconstructed ones.

    Args:
        label_map: Labels 1…K, in the order of ``structures``.
        structures: Names of the K structures.

    Returns:
        Structure name → surface; absent structures are left out.
    """
    return structure_surfaces(shared_surface(label_map), structures)


def to_polydata(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> vtkPolyData:
    """A triangle mesh as VTK has it."""
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices), deep=True))
    cells = vtkCellArray()
    connectivity = np.ascontiguousarray(faces, dtype=np.int64).ravel()
    offsets = np.arange(0, len(connectivity) + 1, 3, dtype=np.int64)
    cells.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_to_vtkIdTypeArray(connectivity, deep=True),
    )
    polydata = vtkPolyData()
    polydata.SetPoints(points)
    polydata.SetPolys(cells)
    return polydata


def _arrays(polydata: vtkPolyData) -> tuple[np.ndarray, np.ndarray]:
    """Vertices ``[V, 3]`` float32 and faces ``[F, 3]`` int64 of a mesh of triangles."""
    vertices = vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float32)
    faces = vtk_to_numpy(polydata.GetPolys().GetConnectivityArray()).astype(np.int64)
    return vertices, faces.reshape(-1, 3)
