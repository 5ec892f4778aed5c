"""The field of view: the part of a scan's grid in which surfaces are trusted.

It ends at the outer faces of the grid, and around voxels of which nothing is known.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["EDGE_VOXELS", "FieldOfView"]

EDGE_VOXELS = 2.0
"""Surfaces closer than this to the edge are not trusted, because smoothing rounds them there."""


@dataclass(frozen=True)
class FieldOfView:
    """The field of view of a grid of voxels.

    If the known voxels fill a box, the field of view is that box without its outermost
    :data:`EDGE_VOXELS`. Unknown voxels inside the box take away their surroundings too, there half
    a voxel more, because the distances are interpolated.

    Attributes:
        shape: Number of voxels along each axis.
        affine: ``[4, 4]``, maps voxel indices (integers at voxel centres) to RAS+ mm.
        unknown: Voxels of which nothing is known; None if there are none.
    """

    shape: tuple[int, int, int]
    affine: Float[np.ndarray, "4 4"]
    unknown: Bool[np.ndarray, "i j k"] | None = None

    def shows(self, points_mm: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
        """Return whether each point (RAS+ mm) lies in a known voxel of the grid."""
        indices = self._indices(points_mm)
        shown: np.ndarray = self._on_grid(np.rint(indices))
        if self.unknown is not None:
            shown[self._in_unknown(indices, self.unknown)] = False
        return shown

    def edge_distances_mm(
        self, points_mm: Float[np.ndarray, "n 3"], inset_voxels: float = EDGE_VOXELS
    ) -> Float[np.ndarray, " n"]:
        """Compute the distance from each point to the edge; never too long.

        Args:
            points_mm: RAS+ mm.
            inset_voxels: How far inside the outer faces the edge is taken to be.

        Returns:
            ``[N]`` float32 mm: positive inside the field of view, 0 or negative outside, ``-inf``
            in unknown voxels.
        """
        indices = self._indices(points_mm)
        first, last = self._limits
        further = EDGE_VOXELS - inset_voxels
        within = (np.minimum(indices - first, last - indices) + further) * self._mm_per_index
        edge_mm = within.min(axis=1).astype(np.float32)
        if self.unknown is None:
            return edge_mm
        if self._clearance is not None:
            further_mm = np.float32(further * self._mm_per_index.min())
            edge_mm = np.minimum(edge_mm, self._clearance.at(indices) + further_mm)
        edge_mm[self._in_unknown(indices, self.unknown)] = -np.inf
        return edge_mm

    def nearest(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
        """Find each point's nearest point in the field of view.

        It is found along the grid's axes, and beside unknown voxels among the voxel centres: on a
        sheared grid and there it is only approximately the nearest.

        Args:
            points_mm: RAS+ mm.

        Returns:
            The nearest points, equal to the given ones inside the field of view; and their
            distances, mm: 0 inside, ``+inf`` if there is no field of view.
        """
        first, last = self._limits
        clearance = self._clearance
        if (last <= first).any() or (clearance is not None and not clearance.in_view.any()):
            return points_mm, np.full(len(points_mm), np.inf)
        indices = self._indices(points_mm)
        nearest = indices.clip(first, last)
        if clearance is not None:
            hidden = clearance.at(nearest) <= 0
            nearest[hidden] = clearance.nearest_in_view(nearest[hidden])
        within = (nearest == indices).all(axis=1)
        in_mm = nearest @ self.affine[:3, :3].T + self.affine[:3, 3]
        nearest_mm = np.where(within[:, None], points_mm, in_mm)
        return nearest_mm, np.linalg.norm(nearest_mm - points_mm, axis=1)

    @cached_property
    def _box(self) -> tuple[Int[np.ndarray, "3"], Int[np.ndarray, "3"]]:
        """The first and the last index along each axis of the known voxels."""
        if self.unknown is None:
            return np.zeros(3, dtype=np.int64), np.array(self.shape) - 1
        known = ~self.unknown
        found = [np.flatnonzero(known.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        if len(found[0]) == 0:
            return np.zeros(3, dtype=np.int64), np.full(3, -1)
        return np.array([f[0] for f in found]), np.array([f[-1] for f in found])

    @property
    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the field of view begins and ends along each axis, as fractional indices."""
        low, high = self._box
        # Voxel centres have whole indices, so that the outer faces are at low − 0.5, high + 0.5.
        inset = EDGE_VOXELS - 0.5
        return low + inset, high - inset

    @property
    def _mm_per_index(self) -> np.ndarray:
        """Spacing of the planes of voxels; in a sheared grid less than the voxels' edge length."""
        return 1 / np.linalg.norm(np.linalg.inv(self.affine[:3, :3]), axis=1)

    @cached_property
    def _clearance(self) -> "_Clearance | None":
        """Distances to the unknown voxels in the box of known ones; None if there are none."""
        low, high = self._box
        if self.unknown is None or (high < low).any():
            return None
        inner = self.unknown[tuple(map(slice, low, high + 1))]
        if not inner.any():
            return None
        return _Clearance.of(inner, low, self.affine, self._mm_per_index)

    def _in_unknown(self, indices: np.ndarray, unknown: np.ndarray) -> np.ndarray:
        """Whether each fractional index lies in an unknown voxel of the grid."""
        voxels = np.rint(indices).astype(np.int64)
        on_grid = self._on_grid(voxels)
        found = np.zeros(len(voxels), dtype=bool)
        found[on_grid] = unknown[tuple(voxels[on_grid].T)]
        return found

    def _on_grid(self, voxels: np.ndarray) -> np.ndarray:
        return np.asarray(((voxels >= 0) & (voxels < self.shape)).all(axis=1))

    def _indices(self, points_mm: np.ndarray) -> np.ndarray:
        points_mm = np.asarray(points_mm, dtype=np.float64)
        return (points_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T


@dataclass(frozen=True)
class _Clearance:
    """Distances to the unknown voxels in a box of the grid.

    Attributes:
        mm: ``[A, B, C]`` float32, at the centre of each voxel of the box.
        low: ``[3]`` index of the box's first voxel.
        mm_per_index: ``[3]`` spacing of the planes of voxels.
    """

    mm: Float[np.ndarray, "a b c"]
    low: Int[np.ndarray, "3"]
    mm_per_index: Float[np.ndarray, "3"]

    @classmethod
    def of(
        cls, unknown: np.ndarray, low: np.ndarray, affine: np.ndarray, mm_per_index: np.ndarray
    ) -> "_Clearance":
        """Compute the distances to the unknown voxels, grown by one more than EDGE_VOXELS.

        The nearest point of the region between the centres of grown voxels is such a centre, so
        that the distance to this region is exact at voxel centres. The half voxel outweighs what
        linear interpolation adds in between.
        """
        from scipy import ndimage

        grown = ndimage.maximum_filter(unknown, size=2 * int(EDGE_VOXELS) + 3)
        clearance = ndimage.distance_transform_edt(~grown, sampling=mm_per_index)
        # In a sheared grid, a length is at least this share of that along rectangular axes.
        squeeze = np.linalg.svd(affine[:3, :3] / mm_per_index, compute_uv=False).min()
        return cls((min(squeeze, 1.0) * clearance).astype(np.float32), low, mm_per_index)

    def at(self, indices: np.ndarray) -> Float[np.ndarray, " n"]:
        """Interpolate the distances at fractional indices; outside the box, take its border's."""
        from scipy import ndimage

        found: np.ndarray = ndimage.map_coordinates(
            self.mm, (indices - self.low).T, order=1, mode="nearest"
        )
        return found

    @cached_property
    def in_view(self) -> Bool[np.ndarray, "a b c"]:
        """Which voxels' centres lie in the field of view."""
        seen = np.zeros(self.mm.shape, dtype=bool)
        inner = (slice(int(EDGE_VOXELS), -int(EDGE_VOXELS)),) * 3
        seen[inner] = self.mm[inner] > 0
        return seen

    @cached_property
    def _nearest_seen(self) -> Int[np.ndarray, "3 a b c"]:
        from scipy import ndimage

        found: np.ndarray = ndimage.distance_transform_edt(
            ~self.in_view,
            sampling=self.mm_per_index,
            return_distances=False,
            return_indices=True,
        )
        return found

    def nearest_in_view(self, indices: np.ndarray) -> Float[np.ndarray, "n 3"]:
        """Return the index of the voxel in view that is nearest to each index's voxel."""
        voxels = (np.rint(indices).astype(np.int64) - self.low).clip(0, np.array(self.mm.shape) - 1)
        return (self.low + self._nearest_seen[(slice(None), *voxels.T)].T).astype(np.float64)
