"""The baseline for shape spaces: principal components of signed distances on a grid.

Hearts lie in one pose and place. Each is a grid of signed distances per structure; mean and modes
are those of all distances at once (Leventon et al., CVPR 2000).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from skimage.measure import marching_cubes

from vecsetx.anatomy.label_map import LabelMap

STEP_MM, HALF_MM = 3.0, 96.0
"""Spacing of the grid, and how far it extends from the origin along each axis."""

REACH_MM = 30.0
"""Distances are truncated at this value."""

SIDE = int(2 * HALF_MM / STEP_MM) + 1


def grid_points_mm() -> Float[np.ndarray, "n 3"]:
    """Points of the grid, mm from the origin of the hearts' common place."""
    axis = np.linspace(-HALF_MM, HALF_MM, SIDE)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def distances_of(label_map: LabelMap, structures: int, points_mm: np.ndarray) -> np.ndarray:
    """Return signed distances to the structures of a label map, ``[n, S]``, at points, RAS+ mm."""
    indices = (points_mm - label_map.affine[:3, 3]) @ np.linalg.inv(label_map.affine[:3, :3]).T
    found = np.full((len(points_mm), structures), np.float32(REACH_MM))
    for k in range(structures):
        inside = np.pad(label_map.labels == k + 1, 1)
        if not inside.any():
            continue
        # Half a voxel lies between the outermost voxel inside and the surface.
        half = float(label_map.spacing_mm.min()) / 2
        out_mm, in_mm = (
            ndimage.distance_transform_edt(side, sampling=label_map.spacing_mm) - half
            for side in (~inside, inside)
        )
        both = np.where(inside, -in_mm, out_mm).astype(np.float32)
        found[:, k] = ndimage.map_coordinates(both, indices.T + 1, order=1, mode="nearest")
    return np.clip(found, -REACH_MM, REACH_MM)


def at(grid: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Interpolate distances ``[side, side, side]`` at points, mm."""
    return ndimage.map_coordinates(grid, (points_mm.T + HALF_MM) / STEP_MM, order=1, mode="nearest")


class GridSurface(NamedTuple):
    """Triangles of one structure."""

    vertices_mm: np.ndarray
    faces: np.ndarray


def surface_of(grid: np.ndarray) -> GridSurface | None:
    """Mesh a structure; None if there is nothing of it."""
    if not grid.min() < 0 < grid.max():
        return None
    vertices, faces, *_ = marching_cubes(grid, 0.0)
    return GridSurface(vertices * STEP_MM - HALF_MM, faces)


@dataclass(frozen=True)
class GridSpace:
    """Mean and modes of distances.

    Attributes:
        mean: ``[n * S]``.
        modes: ``[k, n * S]`` orthonormal.
        sd: ``[k]`` standard deviations.
        shape: ``(side, side, side, S)``.
    """

    mean: np.ndarray
    modes: np.ndarray
    sd: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def fit(cls, hearts: list[np.ndarray]) -> "GridSpace":
        """Fit the space to hearts ``[side, side, side, S]``."""
        rows = np.stack([heart.ravel() for heart in hearts])
        mean = rows.mean(axis=0)
        offsets = rows - mean
        # Of N hearts, N - 1 modes: by the products of the hearts, not those of a million places.
        values, vectors = np.linalg.eigh(offsets.astype(np.float64) @ offsets.T.astype(np.float64))
        order = np.argsort(values)[::-1][: len(hearts) - 1]
        singular = np.sqrt(np.maximum(values[order], 1e-12))
        modes = (vectors[:, order] / singular).T.astype(np.float32) @ offsets
        return cls(mean, modes, singular / np.sqrt(len(hearts) - 1), hearts[0].shape)

    def coordinates(self, heart: np.ndarray, modes: int) -> np.ndarray:
        """Return coordinates in standard deviations; those of further modes are 0."""
        found = np.zeros(len(self.sd))
        found[:modes] = self.modes[:modes] @ (heart.ravel() - self.mean) / self.sd[:modes]
        return found

    def heart(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the distances at coordinates."""
        row = self.mean + (coordinates * self.sd).astype(np.float32) @ self.modes
        return row.reshape(self.shape)
