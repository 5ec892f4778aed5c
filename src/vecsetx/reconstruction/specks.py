"""Specks: small pieces of structures that nothing observed supports.

A model that is unsure, or has trained too little, invents small pieces away from the structure they
belong to. They are found on the meshing grid, and taken out of the field itself, so that meshes and
label maps on any grid lose the same pieces.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy import sign
from vecsetx.geometry.connected import number_pieces
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import ExclusiveOctree, Level, OverlappingOctree

__all__ = ["LEAST_ML", "LEAST_VESSEL_ML", "Specks", "Supports", "find_specks", "without_specks"]

LEAST_ML = 0.2
"""Smaller pieces of a structure that is one piece, such as a chamber, are specks: a ball of this
volume is 7 mm wide."""

LEAST_VESSEL_ML = 0.02
"""Smaller pieces of a structure that has several pieces are specks."""

_SEVERAL_PIECES = frozenset({"Coronary", "PV"})
"""Structures that consist of several pieces, some of them small."""


@runtime_checkable
class Supports(Protocol):
    """What is observed of a heart's structures, by their indices."""

    def __call__(
        self, points_mm: Float[np.ndarray, "n 3"], structure: int, /
    ) -> Bool[np.ndarray, " n"]:
        """Mark the points, RAS+ mm, that something observed of the structure supports."""

    def ends(self, structure: int, /) -> bool:
        """Return whether the structure has no pieces but those that something supports."""


_Tree = TypeVar("_Tree", ExclusiveOctree, OverlappingOctree)


class _Place(NamedTuple):
    """Where the specks of one structure are: voxels of a part of the grid.

    Attributes:
        low: The part's first voxel along each axis.
        voxels: The specks and the voxels around them, because a surface lies up to a voxel away
            from the voxels inside it.
    """

    low: Int[np.ndarray, "3"]
    voxels: Bool[np.ndarray, "i j k"]


@dataclass(frozen=True, slots=True)
class Specks:
    """The specks of a heart's structures on one grid.

    Attributes:
        grid: The grid.
        pieces: Structure name → its number of (26-connected) pieces without the specks.
        removed: Structure name → its number of specks; only structures that have some.
        removed_ml: Structure name → their volume.
        places: Index of a structure → where its specks are.
    """

    grid: Grid
    pieces: dict[str, int]
    removed: dict[str, int]
    removed_ml: dict[str, float]
    places: dict[int, _Place]

    def field(self, field: DistanceField) -> DistanceField:
        """Return a field without its specks; the field itself if it has none."""
        return _SpecklessField(field, self) if self.places else field

    def at(self, points_mm: Float[np.ndarray, "n 3"], index: int) -> Bool[np.ndarray, " n"]:
        """Mark the points at specks of the structure with that index.

        Args:
            points_mm: RAS+ mm.
            index: Index of a structure that has specks.
        """
        low, voxels = self.places[index]
        nearest = np.rint(self.grid.to_indices(points_mm)).astype(np.int64) - low
        within = ((nearest >= 0) & (nearest < voxels.shape)).all(axis=1)
        found = np.zeros(len(points_mm), dtype=bool)
        found[within] = voxels[tuple(nearest[within].T)]
        return found


def find_specks(
    octree: ExclusiveOctree | OverlappingOctree, supports: Supports | None = None
) -> Specks:
    """Find the specks of a field: small pieces that nothing observed supports.

    The largest piece of a structure is never a speck, and neither is a piece of :data:`LEAST_ML`
    or, for coronaries and pulmonary veins, of :data:`LEAST_VESSEL_ML`, unless the structure ends
    where it is observed. A piece is supported if one of its voxels is.

    Args:
        octree: The field on a grid. Pieces are those of its labels, or of each structure by itself
            if structures may overlap.
        supports: Which points something observed supports; None: pieces are counted, and none is
            a speck.
    """
    from scipy import ndimage

    found = Specks(octree.grid, {}, {}, {}, {})
    voxel_ml = float(abs(np.linalg.det(octree.grid.affine[:3, :3]))) / 1000
    for index, name in enumerate(octree.structures):
        inside = _inside(octree, index)
        boxes = ndimage.find_objects(inside.astype(np.uint8))
        if not boxes:
            found.pieces[name] = 0
            continue
        numbers, count = number_pieces(inside[boxes[0]])
        low = np.array([side.start for side in boxes[0]])
        ends = supports is not None and name not in _SEVERAL_PIECES and supports.ends(index)
        least_voxels = np.inf if ends else _least_ml(name) / voxel_ml
        specks = _unsupported(numbers, low, least_voxels, octree.grid, supports, index)
        found.pieces[name] = count - len(specks)
        if len(specks):
            voxels = np.pad(np.isin(numbers, specks), 1)
            found.removed[name] = len(specks)
            found.removed_ml[name] = int(voxels.sum()) * voxel_ml
            around = ndimage.binary_dilation(voxels, np.ones((3, 3, 3)))
            found.places[index] = _Place(low - 1, around)
    return found


def without_specks(octree: _Tree, field: DistanceField, specks: Specks) -> _Tree:
    """Return an evaluated field without its specks.

    Only voxels at specks are evaluated again: all others keep their distances.

    Args:
        octree: The field on the grid of the specks.
        field: The field.
        specks: Its specks.
    """
    if not specks.places:
        return octree
    # 1. All voxels at specks, with the distances that are left there.
    again = np.zeros(octree.grid.shape, dtype=bool)
    for low, voxels in specks.places.values():
        places = np.argwhere(voxels) + low
        on_grid = ((places >= 0) & (places < octree.grid.shape)).all(axis=1)
        again[tuple(places[on_grid].T)] = True
    chosen = np.argwhere(again)
    distances = specks.field(field).distances_mm(octree.grid.to_mm(chosen.astype(float)))
    # 2. They replace those of the octree's finest levels.
    kept: list[Level] = [_without(level, again) for level in octree.levels]
    at, size, blocks = tuple(chosen.T), np.ones(3, dtype=int), chosen.astype(np.int32)
    if isinstance(octree, ExclusiveOctree):
        labels = octree.labels.copy()
        labels[at] = sign.label_of(distances)
        level = Level(size, blocks, labels[at], exclusive_distances(distances))
        return replace(octree, levels=(*kept, level), labels=labels)
    sides = octree.sides.copy()
    bits = (1 << np.arange(len(octree.structures), dtype=np.uint64)).astype(sides.dtype)
    sides[at] = sign.inside(distances) @ bits
    return replace(octree, levels=(*kept, Level(size, blocks, sides[at], distances)), sides=sides)


@dataclass(frozen=True, slots=True)
class _SpecklessField:
    """A field whose specks are outside their structures, as far as its distances reach."""

    whole: DistanceField
    specks: Specks

    @property
    def structures(self) -> tuple[str, ...]:
        return self.whole.structures

    @property
    def reach_mm(self) -> float:
        return self.whole.reach_mm

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        distances = self.whole.distances_mm(points_mm)
        for index in self.specks.places:
            distances[self.specks.at(points_mm, index), index] = self.reach_mm
        return distances


def _least_ml(name: str) -> float:
    return LEAST_VESSEL_ML if name in _SEVERAL_PIECES else LEAST_ML


def _inside(octree: ExclusiveOctree | OverlappingOctree, index: int) -> Bool[np.ndarray, "i j k"]:
    if isinstance(octree, ExclusiveOctree):
        return octree.labels == index + 1
    return (octree.sides >> index & 1).astype(bool)


def _unsupported(
    numbers: np.ndarray,
    low: np.ndarray,
    least_voxels: float,
    grid: Grid,
    supports: Supports | None,
    index: int,
) -> Int[np.ndarray, " n"]:
    """Return the numbers of a structure's pieces that are specks.

    Args:
        numbers: The number of each voxel's piece, on a part of the grid; 0 outside the structure.
        low: The part's first voxel along each axis.
        least_voxels: Pieces with as many voxels are no specks.
        grid: The whole grid.
        supports: As in :func:`find_specks`.
        index: Index of the structure.
    """
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    is_small = sizes < least_voxels
    is_small[[0, int(sizes.argmax())]] = False
    if supports is None or not is_small.any():
        return np.empty(0, dtype=np.int64)
    voxels = np.argwhere(is_small[numbers])
    supported = supports(grid.to_mm((voxels + low).astype(float)), index)
    is_small[numbers[tuple(voxels[supported].T)]] = False
    return np.flatnonzero(is_small)


def _without(level: Level, again: Bool[np.ndarray, "i j k"]) -> Level:
    """Return a level without some voxels; levels of larger blocks stay as they are."""
    if (level.size > 1).any():
        return level
    kept = ~again[tuple(level.blocks.T)]
    return replace(
        level,
        blocks=level.blocks[kept],
        sides=level.sides[kept],
        distances_mm=level.distances_mm[kept],
    )
