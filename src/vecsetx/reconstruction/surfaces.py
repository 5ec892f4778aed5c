"""Smooth, closed surfaces of all structures: with shared walls, or each one independently."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy import sign
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.geometry.interfaces import SharedSurface, shared_surface
from vecsetx.progress import counted_parts
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import (
    ExclusiveOctree,
    OverlappingOctree,
    evaluate_exclusive,
    evaluate_overlapping,
)
from vecsetx.reconstruction.surface_net import shared_interfaces

if TYPE_CHECKING:
    import pyvista
    import trimesh
    import vtkmodules.vtkCommonDataModel

_CLEARANCE_VOXELS = 1e-3
"""Minimum distance of a vertex from a voxel centre. At the centre, vertices of several edges would
coincide, and programs that merge equal vertices, as all STL readers do, would create holes."""


_FROM_RAS = {"lps": np.array([-1, -1, 1], np.float32), "ras": np.array([1, 1, 1], np.float32)}


@dataclass(frozen=True, slots=True)
class Surface:
    """A triangle mesh in RAS+ mm.

    Attributes:
        vertices_mm: ``[V, 3]`` float32.
        faces: ``[F, 3]`` vertex indices, counter-clockwise when seen from outside.
        observed: Whether each vertex is observed, or else inferred; None if unknown.
        sd_mm: Standard deviation of the surface's position at each vertex; None if unknown.
    """

    vertices_mm: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    observed: Bool[np.ndarray, " v"] | None = None
    sd_mm: Float[np.ndarray, " v"] | None = None

    @property
    def area_mm2(self) -> float:
        """Total area of all faces."""
        a, b, c = self._corners()
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @property
    def volume_mm3(self) -> float:
        """Enclosed volume of a closed surface; negative if its faces point inwards."""
        a, b, c = self._corners()
        # Sum of the signed volumes of the tetrahedra between the faces and one point.
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @property
    def centroid_mm(self) -> Float[np.ndarray, "3"]:
        """Centroid of the surface, RAS+ mm."""
        a, b, c = self.vertices_mm.astype(np.float64)[self.faces.T]
        areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        centroid: np.ndarray = np.average((a + b + c) / 3, axis=0, weights=areas)
        return centroid

    @property
    def watertight(self) -> bool:
        """Whether every edge has exactly two faces, with consistent orientation."""
        edges = self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
        count = len(self.vertices_mm)
        # Each directed edge as a number: once in all faces, and once in reverse.
        along, against = edges @ [count, 1], edges @ [1, count]
        return len(np.unique(along)) == len(along) and bool(np.isin(along, against).all())

    def to_trimesh(self, space: str = "ras") -> "trimesh.Trimesh":
        """Convert to a trimesh mesh in mm, without merging vertices.

        Args:
            space: Axes of its coordinates, ``ras`` or ``lps``. The command's mesh files are LPS by
                default; a mesh in RAS laid over them is turned by 180°.

        Raises:
            InputError: The space is neither.
        """
        import trimesh

        return trimesh.Trimesh(self.vertices_mm * axes(space), self.faces, process=False)

    def to_pyvista(self, space: str = "ras") -> "pyvista.PolyData":
        """Convert to a PyVista mesh in mm; needs PyVista.

        Its point data are ``observed`` (1 or 0) and ``sd_mm``, where they are known, as in the
        command's VTP files.

        Args:
            space: As for :meth:`to_trimesh`.

        Raises:
            InputError: The space is neither, or PyVista is not installed.
        """
        try:
            import pyvista
        except ImportError as error:
            raise InputError(f"to_pyvista needs PyVista ({error}): pip install pyvista") from error

        mesh = pyvista.PolyData.from_regular_faces(self.vertices_mm * axes(space), self.faces)
        if self.observed is not None:
            mesh.point_data["observed"] = self.observed.astype(np.uint8)
        if self.sd_mm is not None:
            mesh.point_data["sd_mm"] = self.sd_mm
        return mesh

    def _corners(self) -> np.ndarray:
        """Return the faces' corners relative to the mesh's centre, ``[3, F, 3]`` float64."""
        vertices = self.vertices_mm.astype(np.float64)
        if len(vertices):  # large coordinates would cost precision in sums
            vertices -= vertices.mean(axis=0)
        corners: np.ndarray = vertices[self.faces.T]
        return corners


def axes(space: str) -> Float[np.ndarray, " 3"]:
    """Return the factors that turn RAS+ coordinates into those of a space, ``ras`` or ``lps``.

    Raises:
        InputError: The space is neither.
    """
    if space not in _FROM_RAS:
        raise InputError(f"unknown space {space!r}; use lps or ras")
    return _FROM_RAS[space]


def field_surfaces(field: DistanceField, grid: Grid) -> dict[str, Surface]:
    """Mesh all structures of a field on a grid; neighbours share their walls.

    Args:
        field: The field to mesh.
        grid: The grid; its spacing determines the mesh's resolution.

    Returns:
        Structure name → surface, in the field's order, without empty structures.
    """
    return octree_surfaces(evaluate_exclusive(field, grid))


def octree_surfaces(octree: ExclusiveOctree) -> dict[str, Surface]:
    """Mesh all structures of an evaluated field; returns the same as :func:`field_surfaces`."""
    return structure_surfaces(shared_interfaces(octree), octree.structures)


def structure_surfaces(
    interfaces: SharedSurface, structures: tuple[str, ...]
) -> dict[str, Surface]:
    """Extract each structure's closed surface from the mesh that they share.

    Args:
        interfaces: The walls between labels 1…K, numbered in the order of ``structures``.
        structures: Names of the K structures.

    Returns:
        Structure name → surface; absent structures are left out.
    """
    surfaces: dict[str, Surface] = {}
    for label, name in counted_parts(list(enumerate(structures, start=1))):
        vertices_mm, faces = interfaces.closed_surface(label)
        if len(faces):
            surfaces[name] = Surface(vertices_mm.astype(np.float32), faces)
    return surfaces


def closed_surfaces(field: DistanceField, grid: Grid) -> dict[str, Surface]:
    """Mesh each structure independently: the zero level of its own distance.

    Each surface is watertight, with two faces at every edge. Where the field's structures overlap,
    so do the surfaces (a coronary artery that runs through the myocardium stays whole), and gaps
    thinner than a voxel may separate neighbours. Structures that reach the edge of the grid are
    closed there, half a voxel beyond the last voxel.

    Args:
        field: The field to mesh.
        grid: The grid; its spacing determines the mesh's resolution.

    Returns:
        Structure name → surface, in the field's order, without empty structures.
    """
    return overlapping_surfaces(evaluate_overlapping(field, grid))


def overlapping_surfaces(octree: OverlappingOctree) -> dict[str, Surface]:
    """Mesh each structure of an evaluated field; returns the same as :func:`closed_surfaces`."""
    from scipy import ndimage

    grid = octree.grid
    surfaces: dict[str, Surface] = {}
    for index, name in enumerate(octree.structures):
        inside = (octree.sides >> index & 1).astype(np.uint8)
        box = ndimage.find_objects(inside)
        if not box:
            continue
        # The structure's bounding box and one voxel around it.
        low = np.maximum([side.start - 1 for side in box[0]], 0)
        high = np.minimum([side.stop + 1 for side in box[0]], grid.shape)
        distances_mm = octree.distances_mm(index, low, high)
        surfaces[name] = _zero_surface(
            distances_mm, inside[tuple(map(slice, low, high))].astype(bool), grid, low
        )
    return surfaces


def _zero_surface(
    distances_mm: Float[np.ndarray, "i j k"],
    inside: Bool[np.ndarray, "i j k"],
    grid: Grid,
    low: Int[np.ndarray, "3"],
) -> Surface:
    """Mesh the closed surface between inside and outside voxels.

    The mesh is that of flying edges (Schroeder, Maynard and Geveci, LDAV 2015).

    Args:
        distances_mm: Distances on part of a grid; they locate the surface along voxel edges.
        inside: Which voxels of the part are inside. This determines the sign, so that the surface
            agrees with the label map even where distances are 0 or tied.
        grid: The whole grid.
        low: The part's first voxel along each axis.

    Returns:
        The surface in RAS+ mm.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    clear_mm = np.float32(_CLEARANCE_VOXELS * grid.spacing_mm.min())
    # Magnitudes from the field, signs from the voxels.
    magnitude = np.maximum(np.abs(distances_mm), clear_mm)
    # An extra layer of outside voxels closes the surface, half-way to that layer.
    signed = sign.with_sign(np.pad(magnitude, 1, mode="edge"), np.pad(inside, 1))
    # In VTK's images the first index changes fastest.
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
    # Flying edges orients faces towards decreasing values, which is inwards here; a mirroring
    # affine flips them once more.
    mirrored = np.linalg.det(grid.affine[:3, :3]) < 0
    # The extra layer begins one voxel before the part.
    vertices_mm = grid.to_mm(indices.astype(np.float64) + (low - 1)).astype(np.float32)
    return Surface(vertices_mm, faces if mirrored else np.ascontiguousarray(faces[:, ::-1]))


def decimate(surface: Surface, target_faces: int) -> Surface:
    """Decimate one surface by quadric edge collapse (Garland and Heckbert, SIGGRAPH 1997).

    Neighbouring structures are decimated independently, so their walls no longer match exactly.

    Args:
        surface: The full surface.
        target_faces: Number of faces to aim at.

    Returns:
        The decimated surface; the full one if it has at most ``target_faces`` faces.

    Raises:
        InputError: ``target_faces`` is less than 4.
    """
    import fast_simplification

    if target_faces < 4:
        raise InputError(
            f"a closed surface needs at least 4 faces, not {target_faces}; allow more faces"
        )
    if len(surface.faces) <= target_faces:
        return surface
    vertices, faces = fast_simplification.simplify(
        surface.vertices_mm, surface.faces.astype(np.int32), target_count=target_faces
    )
    return Surface(vertices, faces.astype(np.int64))


def label_map_surfaces(label_map: LabelMap, structures: tuple[str, ...]) -> dict[str, Surface]:
    """Mesh a label map as for sampling, for comparison with reconstructed surfaces.

    Args:
        label_map: Labels 1…K, in the order of ``structures``.
        structures: Names of the K structures.

    Returns:
        Structure name → surface; absent structures are left out.
    """
    return structure_surfaces(shared_surface(label_map), structures)


def to_polydata(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> "vtkmodules.vtkCommonDataModel.vtkPolyData":
    """Convert a triangle mesh to VTK."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

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


def _arrays(polydata: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices ``[V, 3]`` float32 and faces ``[F, 3]`` int64 of a triangle mesh."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    vertices = vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float32)
    faces = vtk_to_numpy(polydata.GetPolys().GetConnectivityArray()).astype(np.int64)
    return vertices, faces.reshape(-1, 3)
