"""Distances between two surfaces, in mm.

There are three definitions of what a surface is, each of them the one that its measures are
commonly computed by:

- *Surface voxels*, for ASSD and HD95 on a voxel grid: the centres of voxels inside that touch one
  outside with a face, all of one weight (Metrics Reloaded: Maier-Hein et al., Nature Methods 2024).
- *Surface elements*, for the normalised surface distance on a voxel grid: the corners where voxels
  inside and outside meet, each with the area that marching cubes give the surface there (Nikolov et
  al., J Med Internet Res 2021;23(7):e26151).
- *Meshes*: every vertex with its share of its faces' areas, and distances to the other's triangles.

The first two depend on the voxels: of balls half a voxel apart, mean distances between voxels are
up to a fifth wrong, those between elements more than a half too short, and those between meshes a
tenth (``docs/scores.md``).
"""

from dataclasses import dataclass
from functools import cache

import igl
import numpy as np
from jaxtyping import Bool, Float
from pykdtree.kdtree import KDTree
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from vecsetx.reconstruction.surfaces import Surface

_PERCENTILE = 0.95
_ROUNDING, _ROUNDING_MM = 1e-9, 1e-6
"""Share of the area that sums of areas may be wrong by, and mm that distances may be: voxels often
lie just as far apart as the tolerance is."""


@dataclass(frozen=True, slots=True)
class VoxelDistances:
    """How far the surface voxels of two structures lie apart.

    Attributes:
        truth_mm: ``[T]`` distance of each of the truth's surface voxels to the nearest of the
            prediction's.
        prediction_mm: ``[P]`` the same from the prediction to the truth.
    """

    truth_mm: Float[np.ndarray, " t"]
    prediction_mm: Float[np.ndarray, " p"]

    def assd_mm(self) -> float:
        """Average symmetric surface distance: the mean over the surface voxels of both."""
        return float(np.concatenate([self.truth_mm, self.prediction_mm]).mean())

    def hd95_mm(self) -> float:
        """The larger of the two directions' 95th percentiles."""
        return float(max(np.percentile(side, 95) for side in (self.truth_mm, self.prediction_mm)))


@dataclass(frozen=True, slots=True)
class SurfaceElements:
    """A surface in small parts.

    Attributes:
        points_mm: ``[N, 3]`` where each part lies, mm.
        areas_mm2: ``[N]`` area of each part.
    """

    points_mm: Float[np.ndarray, "n 3"]
    areas_mm2: Float[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """How far two surfaces lie apart, every part weighing as much as its area.

    Attributes:
        truth_mm: ``[T]`` distance of every element of the truth to the predicted surface.
        truth_mm2: ``[T]`` areas of these elements.
        prediction_mm: ``[P]`` distance of every element of the prediction to the true surface.
        prediction_mm2: ``[P]`` areas of these elements.
    """

    truth_mm: Float[np.ndarray, " t"]
    truth_mm2: Float[np.ndarray, " t"]
    prediction_mm: Float[np.ndarray, " p"]
    prediction_mm2: Float[np.ndarray, " p"]

    def assd_mm(self) -> float:
        """Average symmetric surface distance: the mean over both surfaces' whole area."""
        moments = self.truth_mm @ self.truth_mm2 + self.prediction_mm @ self.prediction_mm2
        return float(moments / (self.truth_mm2.sum() + self.prediction_mm2.sum()))

    def hd95_mm(self) -> float:
        """Hausdorff distance that leaves out the farthest 5 % of each surface's area.

        The larger of the two directions.
        """
        return max(
            _percentile(self.truth_mm, self.truth_mm2),
            _percentile(self.prediction_mm, self.prediction_mm2),
        )

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface distance: share of both areas that is near the other surface.

        Args:
            tolerance_mm: What counts as near, this distance included.
        """
        limit_mm = tolerance_mm + _ROUNDING_MM
        near = self.truth_mm2[self.truth_mm <= limit_mm].sum()
        near += self.prediction_mm2[self.prediction_mm <= limit_mm].sum()
        return float(near / (self.truth_mm2.sum() + self.prediction_mm2.sum()))


def voxel_distances(
    truth: Bool[np.ndarray, "i j k"],
    prediction: Bool[np.ndarray, "i j k"],
    affine: Float[np.ndarray, "4 4"],
) -> VoxelDistances:
    """Distances between the surface voxels of two structures on one grid, neither of them empty.

    Args:
        truth: Voxels of the structure.
        prediction: The same.
        affine: From voxel indices to mm; oblique, anisotropic, mirroring and shearing ones count
            as they are.
    """
    return VoxelDistances(
        *_both_ways(surface_voxels(truth, affine), surface_voxels(prediction, affine))
    )


def element_distances(
    truth: Bool[np.ndarray, "i j k"],
    prediction: Bool[np.ndarray, "i j k"],
    affine: Float[np.ndarray, "4 4"],
) -> SurfaceDistances:
    """As :func:`voxel_distances`, between surface elements."""
    in_truth, in_prediction = surface_elements(truth, affine), surface_elements(prediction, affine)
    to_prediction, to_truth = _both_ways(in_truth.points_mm, in_prediction.points_mm)
    return SurfaceDistances(to_prediction, in_truth.areas_mm2, to_truth, in_prediction.areas_mm2)


def mesh_distances(truth: Surface, prediction: Surface) -> SurfaceDistances:
    """Distances between two meshes, neither of them empty.

    Each vertex's distance is the exact one to the other's triangles.
    """
    in_truth, in_prediction = mesh_elements(truth), mesh_elements(prediction)
    return SurfaceDistances(
        _to_triangles(in_truth.points_mm, prediction),
        in_truth.areas_mm2,
        _to_triangles(in_prediction.points_mm, truth),
        in_prediction.areas_mm2,
    )


def surface_voxels(
    inside: Bool[np.ndarray, "i j k"], affine: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "n 3"]:
    """Centres, in mm, of the voxels that touch one outside with a face.

    A structure that the edge of the grid cuts is closed there: beyond the edge all is outside.
    """
    padded = np.pad(inside, 1)
    core = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for shift in (0, 2):
            beside = [slice(1, -1)] * 3
            beside[axis] = slice(shift, shift + inside.shape[axis])
            core &= padded[tuple(beside)]
    return _to_mm(np.argwhere(inside & ~core), affine)


def surface_elements(
    inside: Bool[np.ndarray, "i j k"], affine: Float[np.ndarray, "4 4"]
) -> SurfaceElements:
    """The surface of a structure on a voxel grid, closed at its edge likewise."""
    padded = np.pad(inside, 1).view(np.uint8)
    i, j, k = (size - 1 for size in padded.shape)
    code = np.zeros((i, j, k), dtype=np.uint8)
    for bit, (a, b, c) in enumerate(_CORNERS):
        code |= padded[a : a + i, b : b + j, c : c + k] << bit
    at = np.nonzero((code != 0) & (code != 255))
    indices = np.stack(at, axis=1) - 0.5
    axes = affine[:3, :3]
    # Cofactors carry area vectors over, as the matrix itself carries edges over.
    cofactors = np.linalg.det(axes) * np.linalg.inv(axes).T
    areas_mm2 = np.linalg.norm(_area_vectors() @ cofactors.T, axis=-1).sum(axis=-1)
    return SurfaceElements(_to_mm(indices, affine), areas_mm2[code[at]])


def mesh_elements(surface: Surface) -> SurfaceElements:
    """The vertices of a mesh, each with a third of the area of its faces."""
    vertices_mm = surface.vertices_mm.astype(np.float64)
    a, b, c = vertices_mm[surface.faces.T]
    thirds_mm2 = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    areas_mm2 = np.bincount(surface.faces.ravel(), np.repeat(thirds_mm2, 3), len(vertices_mm))
    used = areas_mm2 > 0
    return SurfaceElements(vertices_mm[used], areas_mm2[used])


_CORNERS = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]


@cache
def _area_vectors() -> Float[np.ndarray, "256 t 3"]:
    """Triangles that marching cubes put between 2×2×2 voxels: normals as long as their areas.

    Bit n of the first index says whether voxel n of :data:`_CORNERS` is inside. The triangles are
    those of the four or fewer voxels that are alike, so that inside and outside may change places.
    """
    found = []
    for code in range(256):
        inside = np.array([code >> bit & 1 for bit in range(8)], dtype=np.uint8).reshape(2, 2, 2)
        found.append(_triangles(inside if inside.sum() <= 4 else 1 - inside))
    vectors = np.zeros((256, max(map(len, found)), 3))
    for code, triangles in enumerate(found):
        vectors[code, : len(triangles)] = triangles
    return vectors


def _triangles(inside: np.ndarray) -> np.ndarray:
    image = vtkImageData()
    image.SetDimensions(*inside.shape)
    image.GetPointData().SetScalars(numpy_to_vtk(inside.ravel(order="F"), deep=True))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    mesh = contour.GetOutput()
    if mesh.GetNumberOfPolys() == 0:
        return np.empty((0, 3))
    vertices = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)
    a, b, c = vertices[vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3).T]
    return np.cross(b - a, c - a) / 2


def _to_triangles(points_mm: np.ndarray, surface: Surface) -> np.ndarray:
    squared, *_ = igl.point_mesh_squared_distance(
        points_mm, surface.vertices_mm.astype(np.float64), surface.faces
    )
    return np.sqrt(squared)


def _both_ways(a_mm: np.ndarray, b_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of every point of ``a`` to the nearest of ``b``, and the reverse."""
    from_a, _ = KDTree(b_mm).query(a_mm)
    from_b, _ = KDTree(a_mm).query(b_mm)
    return from_a, from_b


def _to_mm(indices: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return indices @ affine[:3, :3].T + affine[:3, 3]


def _percentile(distances_mm: np.ndarray, areas_mm2: np.ndarray) -> float:
    """The smallest distance that 95 % of the area does not exceed."""
    order = np.argsort(distances_mm)
    reached = np.cumsum(areas_mm2[order])
    return float(
        distances_mm[order][np.searchsorted(reached, (_PERCENTILE - _ROUNDING) * reached[-1])]
    )
