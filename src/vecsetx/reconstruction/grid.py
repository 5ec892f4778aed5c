"""Regular grids of points on which a field is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in RAS+ mm; oblique, anisotropic and flipped ones are all fine.

    Attributes:
        shape: Voxels along each axis.
        affine: ``[4, 4]``, from voxel indices (centres at whole numbers) to RAS+ mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @classmethod
    def of(cls, label_map: LabelMap) -> Grid:
        """The grid that a label map lies on."""
        return cls(label_map.shape, label_map.affine)

    @classmethod
    def around(cls, low_mm: np.ndarray, high_mm: np.ndarray, spacing_mm: float) -> Grid:
        """A grid of cubic voxels along R, A and S that covers a box.

        Args:
            low_mm: The box's lowest corner, ``[3]`` RAS+ mm.
            high_mm: The box's highest corner, ``[3]`` RAS+ mm.
            spacing_mm: Edge of a voxel.

        Raises:
            InputError: The box is empty or the spacing not positive.
        """
        low_mm, high_mm = np.asarray(low_mm, dtype=float), np.asarray(high_mm, dtype=float)
        size_mm = high_mm - low_mm
        if not (np.isfinite(size_mm).all() and size_mm.min() > 0 and spacing_mm > 0):
            raise InputError(
                f"no grid fits the box from {low_mm} to {high_mm} mm at a spacing of "
                f"{spacing_mm} mm; both must be positive"
            )
        # A size that is a whole number of voxels must not gain one through rounding.
        i, j, k = np.ceil(size_mm / spacing_mm - 1e-6).astype(int).tolist()
        shape = (max(i, 1), max(j, 1), max(k, 1))
        first_center = (low_mm + high_mm - (np.array(shape) - 1) * spacing_mm) / 2
        affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
        affine[:3, 3] = first_center
        return cls(shape, affine)

    @classmethod
    def fitted(cls, low_mm: np.ndarray, high_mm: np.ndarray, voxels: int) -> Grid:
        """The grid :meth:`around` a box with a given number of voxels along its longest side."""
        if voxels < 1:
            raise InputError(
                f"a grid needs at least one voxel along its longest side, not {voxels}"
            )
        longest_mm = float((np.asarray(high_mm, dtype=float) - low_mm).max())
        return cls.around(low_mm, high_mm, longest_mm / voxels)

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along each axis, ``[3]`` mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxels(self) -> int:
        """How many voxels the grid has."""
        i, j, k = self.shape
        return i * j * k

    def to_mm(self, indices: np.ndarray) -> np.ndarray:
        """Voxel indices ``[..., 3]`` (fractions allowed) to RAS+ mm."""
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]
