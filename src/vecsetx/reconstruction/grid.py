"""Regular grids of points on which a field is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in RAS+ mm; it may be oblique, anisotropic or flipped.

    Attributes:
        shape: Number of voxels along each axis.
        affine: ``[4, 4]`` from voxel indices (integers at voxel centres) to RAS+ mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @classmethod
    def of(cls, label_map: LabelMap) -> Grid:
        """Return the grid of a label map."""
        return cls(label_map.shape, label_map.affine)

    @classmethod
    def around(cls, low_mm: np.ndarray, high_mm: np.ndarray, spacing_mm: float) -> Grid:
        """Return a grid of cubic voxels, aligned with R, A and S, that covers a box.

        Args:
            low_mm: The box's lowest corner, ``[3]`` RAS+ mm.
            high_mm: The box's highest corner, ``[3]`` RAS+ mm.
            spacing_mm: Edge length of a voxel.

        Raises:
            InputError: The box is empty or the spacing is not positive.
        """
        low_mm, high_mm = np.asarray(low_mm, dtype=float), np.asarray(high_mm, dtype=float)
        size_mm = high_mm - low_mm
        if not (np.isfinite(size_mm).all() and size_mm.min() > 0 and spacing_mm > 0):
            raise InputError(
                f"no grid fits the box from {low_mm} to {high_mm} mm at a spacing of "
                f"{spacing_mm} mm; both must be positive"
            )
        # Rounding must not add a voxel to a size that is a whole number of voxels.
        i, j, k = np.ceil(size_mm / spacing_mm - 1e-6).astype(int).tolist()
        shape = (max(i, 1), max(j, 1), max(k, 1))
        # Centred on the box, so that rounding up adds as much on either side.
        first_center = (low_mm + high_mm - (np.array(shape) - 1) * spacing_mm) / 2
        affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
        affine[:3, 3] = first_center
        return cls(shape, affine)

    @classmethod
    def fitted(cls, low_mm: np.ndarray, high_mm: np.ndarray, voxels: int) -> Grid:
        """Return a grid :meth:`around` a box, with ``voxels`` voxels along its longest side.

        Raises:
            InputError: The box is empty, or there is less than one voxel.
        """
        if voxels < 1:
            raise InputError(
                f"a grid needs at least one voxel along its longest side, not {voxels}; choose a "
                "positive resolution"
            )
        longest_mm = float((np.asarray(high_mm, dtype=float) - low_mm).max())
        return cls.around(low_mm, high_mm, longest_mm / voxels)

    @property
    def spacing_mm(self) -> np.ndarray:
        """Size of a voxel along each axis, ``[3]`` mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        i, j, k = self.shape
        return i * j * k

    def to_mm(self, indices: np.ndarray) -> np.ndarray:
        """Convert voxel indices ``[..., 3]``, which may be fractional, to RAS+ mm."""
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_indices(self, points_mm: np.ndarray) -> np.ndarray:
        """Convert RAS+ mm ``[..., 3]`` to fractional voxel indices."""
        return (points_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def holds(self, points_mm: np.ndarray) -> np.ndarray:
        """Mark the points ``[N, 3]`` (RAS+ mm) that lie in a voxel of the grid."""
        indices = self.to_indices(points_mm)
        within = (indices >= -0.5) & (indices <= np.array(self.shape) - 0.5)
        return np.asarray(within.all(axis=1))

    def enlarged(self, points_mm: np.ndarray) -> Grid:
        """Return the grid with further voxels on its sides, so that it holds all given points.

        The voxels that it has stay where they are.

        Args:
            points_mm: ``[N, 3]`` RAS+ mm.
        """
        indices = self.to_indices(points_mm)
        low = np.minimum(np.floor(indices.min(axis=0)), 0)
        high = np.maximum(np.ceil(indices.max(axis=0)) + 1, self.shape)
        affine = self.affine.copy()
        affine[:3, 3] = self.to_mm(low)
        i, j, k = (high - low).astype(int).tolist()
        return Grid((i, j, k), affine)
