"""Grids on one lattice: voxel grids whose voxel centres coincide, whatever their axes and extents.

3D Slicer crops each segment that it exports to the segment's own extent, and other programs flip or
swap the axes of some files. The voxels of all these grids are nodes of one lattice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.formats.affines import grid_corners
from vecsetx.limits import VOXELS

__all__ = ["PlacedMask", "Placement", "SharedGrid", "with_round_ends"]

_FLAT_SHARE = 0.7
"""A heart counts as cut at a side if its second plane there has at least this share of the voxels
of its fourth. At a round end the share is 1/2 at most, as for a paraboloid; in real hearts at most
0.58 there, and at least 0.82 at cuts (lab log, 2026-11-28). The last plane is often incomplete."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a grid lies on a lattice: its voxel ``i`` is the node ``turn @ i + offset``.

    Attributes:
        shape: Number of voxels along each axis of the grid.
        turn: ``[3, 3]``, permutes and flips axes: a single 1 or −1 in each row and column.
        offset: ``[3]``, whole numbers.
        moved: Largest displacement of a voxel from its node along an axis, in voxels.
    """

    shape: tuple[int, int, int]
    turn: np.ndarray
    offset: np.ndarray
    moved: float

    @classmethod
    def of(
        cls, shape: tuple[int, int, int], affine: np.ndarray, lattice: np.ndarray
    ) -> Placement | None:
        """Place a grid on the nearest nodes of a lattice.

        Args:
            shape: Number of voxels along each axis.
            affine: ``[4, 4]``, from the grid's voxel indices to RAS+ mm.
            lattice: ``[4, 4]``, from indices of nodes to RAS+ mm.

        Returns:
            The placement; None if the steps from voxel to voxel differ too much from the lattice's.
        """
        step = np.linalg.solve(lattice, affine)
        turn, offset = np.rint(step[:3, :3]), np.rint(step[:3, 3])
        if not (turn.T @ turn == np.eye(3)).all():
            return None
        apart = grid_corners(shape) @ (step[:3, :3] - turn).T + step[:3, 3] - offset
        return cls(shape, turn, offset, float(np.abs(apart).max()))

    def is_same(self, other: Placement) -> bool:
        """Return whether both grids have the same voxels, with the same indices."""
        same = np.array_equal(self.turn, other.turn) and np.array_equal(self.offset, other.offset)
        return same and self.shape == other.shape

    def bounds(self) -> np.ndarray:
        """Return the first and the last node along each axis of the lattice, ``[2, 3]``."""
        nodes = grid_corners(self.shape) @ self.turn.T + self.offset
        return np.stack([nodes.min(axis=0), nodes.max(axis=0)])


@dataclass(frozen=True, slots=True)
class PlacedMask:
    """A mask on a lattice.

    Attributes:
        voxels: Flat indices of the voxels inside, in Fortran order, which image files use.
        placement: Where its grid lies.
    """

    voxels: np.ndarray
    placement: Placement

    def indices(self) -> tuple[np.ndarray, ...]:
        """Return the indices of the voxels inside along each axis of the grid."""
        return np.unravel_index(self.voxels, self.placement.shape, order="F")

    def is_cropped(self) -> bool:
        """Return whether the grid is the smallest one around the voxels inside."""
        sizes = zip(self.indices(), self.placement.shape, strict=True)
        return len(self.voxels) > 0 and all(i.min() == 0 and i.max() == n - 1 for i, n in sizes)


@dataclass(frozen=True, slots=True)
class SharedGrid:
    """A grid around several masks, with the axes of their lattice.

    Attributes:
        low: Node of its first voxel, ``[3]``.
        shape: Number of voxels along each axis.
        margin: Whether each side has a margin of one voxel, ``[2, 3]`` (first and last side of each
            axis).
        remarks: What the user should know if the masks' grids differ.
    """

    low: np.ndarray
    shape: tuple[int, int, int]
    margin: np.ndarray
    remarks: tuple[str, ...] = ()

    @classmethod
    def around(
        cls, masks: Sequence[PlacedMask], source: str, most_voxels: int = VOXELS
    ) -> SharedGrid:
        """Return the grid of the masks, or, if they differ, one around all.

        A side that only masks cropped to their structures reach gets a margin, as it need not be
        the edge of the scan; see :meth:`label_map`.

        Args:
            masks: The masks; the first one defines the lattice.
            source: Their folder, for error messages.
            most_voxels: Most voxels of the grid.

        Raises:
            InputError: The grid would have more voxels.
        """
        first = masks[0].placement
        if all(mask.placement.is_same(first) for mask in masks):
            return cls(np.zeros(3), first.shape, np.zeros((2, 3), bool))
        # 1. The box around all grids, and who reaches its sides: [masks, 2 ends, 3 axes].
        bounds = np.stack([mask.placement.bounds() for mask in masks])
        edges = np.stack([bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)])
        whole = np.array([not mask.is_cropped() for mask in masks])
        margin = ~(bounds == edges)[whole].any(axis=0)
        low, high = edges + margin * [[-1], [1]]
        # 2. The grid, unless it is too large.
        size = high - low + 1
        shown = " × ".join(f"{n:.6g}" for n in size)
        if size.prod() > most_voxels:
            raise InputError(
                f"{source}: its masks lie so far apart that a grid around them has {shown} voxels; "
                "check the origin of each, resample all to one grid, or raise --max-voxels"
            )
        remarks = ["the masks' grids differ; they were pasted into one grid around all"]
        if margin.any():
            remarks.append(
                "masks cropped to their structures do not show where the scan ends; structures "
                "that end in a plane at the edge of all masks count as cut there, others as whole"
            )
        i, j, k = size.astype(int).tolist()
        return cls(low, (i, j, k), margin, tuple(remarks))

    def label_map(self, labels: np.ndarray, lattice: np.ndarray) -> LabelMap:
        """Return the label map of this grid without the margins where structures end in a plane.

        There they reach the edge of the label map, and so count as cut by the scan.

        Args:
            labels: ``[I, J, K]`` on this grid.
            lattice: ``[4, 4]``, from indices of nodes to RAS+ mm.
        """
        low, high = np.zeros(3, int), np.array(self.shape)
        for end, axis in np.argwhere(self.margin).tolist():
            if _is_flat(_planes(labels, axis, end)[1:]):  # after the margin
                low[axis] += not end
                high[axis] -= end
        affine = lattice.copy()
        affine[:3, 3] += lattice[:3, :3] @ (self.low + low)
        i, j, k = (slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True))
        return LabelMap(labels[i, j, k], affine)

    def voxels(self, mask: PlacedMask) -> np.ndarray:
        """Return a mask's voxels as flat indices of this grid, in Fortran order."""
        steps = np.cumprod([1, *self.shape[:2]])  # from node to node along each axis
        start = int(steps @ (mask.placement.offset - self.low))
        turned = (steps @ mask.placement.turn).astype(np.int64)  # from voxel to voxel
        if start == 0 and mask.placement.shape == self.shape and (turned == steps).all():
            return mask.voxels
        return start + sum(
            step * index for step, index in zip(turned.tolist(), mask.indices(), strict=True)
        )


def with_round_ends(label_map: LabelMap, axes: Sequence[int]) -> LabelMap:
    """Return the map with a margin of one voxel where a round end touches the edge of its grid.

    A program that saves only the part of a scan that it segmented does not say where the scan ends.
    Structures that end in a plane at the edge of the grid count as cut by the scan, others as
    whole. The map itself is returned unless it is cropped: voxels inside touch both ends of all the
    axes.

    Args:
        label_map: The map.
        axes: Axes of the grid along which it may be cropped.
    """
    ends = [(axis, end, _planes(label_map.labels, axis, end)) for axis in axes for end in (0, 1)]
    if not ends or not all(planes[0].any() for _, _, planes in ends):
        return label_map
    margin = np.zeros((3, 2), int)
    for axis, end, planes in ends:
        margin[axis, end] = not _is_flat(planes)
    affine = label_map.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ margin[:, 0]
    remark = (
        "the file is cropped to its segments and does not show where the scan ends; structures "
        "that end in a plane at its edge count as cut there, others as whole"
    )
    padded = replace(label_map, labels=np.pad(label_map.labels, margin), affine=affine)
    return padded.remarked([remark])


def _planes(labels: np.ndarray, axis: int, end: int) -> np.ndarray:
    """Return the planes across an axis, from its first end (0) or its last (1)."""
    return np.moveaxis(labels, axis, 0)[:: -1 if end else 1]


def _is_flat(planes: np.ndarray) -> bool:
    """Return whether what begins at the first of some planes ends in a plane there."""
    # A thin heart may have fewer planes.
    outer, inner = (np.count_nonzero(planes[n : n + 1]) for n in (1, 3))
    return bool(outer >= _FLAT_SHARE * inner)
