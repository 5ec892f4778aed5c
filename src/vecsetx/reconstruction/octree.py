"""Evaluating a field on a fine grid from coarse to fine, asking only near the surfaces.

A block of voxels whose centre lies farther from every surface than its corners do from the centre
holds no surface, and one query speaks for all its voxels. Other blocks are halved, down to single
voxels. "Surface" means the zero level of the exclusive distances, so walls between structures that
touch or overlap count, and so do both walls of a gap between them.

The bound is exact for true distances. A trained field may be steeper, for which :data:`MARGIN`
makes allowance, and what still slips through is caught at the end: wherever two neighbouring voxels
bear different labels, both are queried themselves, and the walls are followed until that holds
everywhere. So every voxel edge that crosses a surface has the field's own values at both ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Int, UInt

from vecsetx.anatomy import sign
from vecsetx.errors import InputError
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid

MARGIN = 1.25
"""How much steeper than a true distance the field may be without a block being misjudged."""

_Judge = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""The field's distances ``[M, K]`` → sides ``[M]``, and the distances whose zeros are sought."""


@dataclass(frozen=True, slots=True)
class Level:
    """All queries at one block size.

    Attributes:
        size: Voxels along each edge of a block, ``[3]``.
        blocks: Blocks queried, ``[M, 3]``, counted in blocks of this size.
        sides: What each block's centre is inside of, ``[M]``: a label, or a bit per structure.
        distances_mm: Distances at each block's centre, ``[M, K]`` float32.
    """

    size: np.ndarray
    blocks: np.ndarray
    sides: np.ndarray
    distances_mm: np.ndarray


@dataclass(frozen=True, slots=True)
class Octree:
    """A field on a grid, exact at the voxels near surfaces.

    Attributes:
        grid: Where.
        structures: Names of the K structures.
        levels: The queries, from coarse to fine.
    """

    grid: Grid
    structures: tuple[str, ...]
    levels: tuple[Level, ...]

    @property
    def queries(self) -> int:
        """How many points the field was asked for."""
        return sum(len(level.blocks) for level in self.levels)

    def distances_mm(
        self, index: int, low: Int[np.ndarray, "3"], high: Int[np.ndarray, "3"]
    ) -> Float[np.ndarray, "i j k"]:
        """Distances to one structure on part of the grid.

        Args:
            index: Which structure, 0…K-1.
            low: First voxel of the part along each axis.
            high: One past its last voxel along each axis.

        Returns:
            Float32 ``[high - low]``. Exact at both ends of every voxel edge that crosses the
            surface; farther away the block's value, which has the right sign.
        """
        return _assemble(self.levels, lambda level: level.distances_mm[:, index], low, high)


@dataclass(frozen=True, slots=True)
class ExclusiveOctree(Octree):
    """As :class:`Octree`, each point to the one structure it is deepest inside.

    The distances are the exclusive ones
    (:func:`~vecsetx.reconstruction.distance_field.exclusive_distances`).

    Attributes:
        labels: Label of every voxel, uint8 in the grid's shape: 1…K in the order of
            ``structures``, 0 for background.
    """

    labels: np.ndarray

    def rows(self, voxels: Int[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Exclusive distances to all structures at voxels that lie at a wall, mm."""
        finest = [level for level in self.levels if (level.size == 1).all()]
        numbers = np.concatenate([self._numbers(level.blocks) for level in finest])
        distances = np.concatenate([level.distances_mm for level in finest])
        order = np.argsort(numbers)
        return distances[order[np.searchsorted(numbers, self._numbers(voxels), sorter=order)]]

    def _numbers(self, voxels: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(tuple(voxels.T), self.grid.shape)


@dataclass(frozen=True, slots=True)
class OverlappingOctree(Octree):
    """As :class:`Octree`, each structure by itself, wherever the others are.

    The distances are the field's own.

    Attributes:
        sides: Of every voxel, bit k for being inside structure k.
    """

    sides: np.ndarray


def evaluate_exclusive(field: DistanceField, grid: Grid) -> ExclusiveOctree:
    """Evaluate a field on a grid from coarse to fine.

    Args:
        field: What to evaluate.
        grid: Where.

    Returns:
        Labels of all voxels, and exact distances near the surfaces.
    """
    if len(field.structures) > np.iinfo(np.uint8).max:
        raise InputError(f"a label map holds at most 255 structures, not {len(field.structures)}")

    def judged(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sign.label_of(distances).astype(np.uint8), exclusive_distances(distances)

    levels, labels = _descended(field, grid, judged)
    return ExclusiveOctree(grid, field.structures, levels, labels)


def evaluate_overlapping(field: DistanceField, grid: Grid) -> OverlappingOctree:
    """As :func:`evaluate_exclusive`, to the surface of every structure by itself.

    Structures may overlap: what a neighbour claims is not taken from them. A query answers for all
    structures at once, so that they are descended together.
    """
    count = len(field.structures)
    if count > 64:
        raise InputError(f"at most 64 structures can be followed by themselves, not {count}")
    kind = np.min_scalar_type(2**count - 1)
    bits = (1 << np.arange(count, dtype=np.uint64)).astype(kind)

    def judged(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sign.inside(distances) @ bits, distances

    return OverlappingOctree(grid, field.structures, *_descended(field, grid, judged))


def _descended(
    field: DistanceField, grid: Grid, judged: _Judge
) -> tuple[tuple[Level, ...], np.ndarray]:
    """The levels of a descent, and the sides of all voxels."""
    if not field.reach_mm > 0:
        raise InputError(f"the field's reach must be positive, not {field.reach_mm} mm")
    levels: list[Level] = []
    for size in _block_sizes(grid, field.reach_mm / MARGIN):
        blocks = _halved(levels[-1], size, grid) if levels else _all_blocks(grid, size)
        levels.append(_query(field, grid, blocks, size, judged))
    sides = _assemble(levels, lambda level: level.sides, np.zeros(3, int), np.array(grid.shape))
    levels.extend(_followed_walls(field, grid, levels[-1], sides, judged))
    return tuple(levels), sides


def evaluate_dense(field: DistanceField, grid: Grid) -> Float[np.ndarray, "i j k s"]:
    """The field's own distances at every voxel: the plain way, which :func:`evaluate_exclusive` is held to.

    Returns:
        ``[*grid.shape, K]`` float32, mm.
    """
    distances = np.empty((*grid.shape, len(field.structures)), dtype=np.float32)
    plane = _lattice((1, *grid.shape[1:]))
    for i in range(grid.shape[0]):
        points_mm = grid.to_mm(plane + np.array([i, 0, 0]))
        distances[i] = field.distances_mm(points_mm).reshape(*grid.shape[1:], -1)
    return distances


def extent_mm(
    field: DistanceField, low_mm: np.ndarray, high_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`find_extent_mm`, of a heart that must be there.

    Raises:
        InputError: The field is outside of everything in the whole box.
    """
    found = find_extent_mm(field, low_mm, high_mm)
    if found is None:
        raise InputError(
            f"the model finds no structure between {np.round(low_mm)} and {np.round(high_mm)} mm; "
            "is the input of the kind it was trained on?"
        )
    return found


def find_extent_mm(
    field: DistanceField, low_mm: np.ndarray, high_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """A box that holds all of the heart within a box to search.

    No structure, however thin, leaves the box; it may be up to a coarse block (the field's
    reach) too wide on each side.

    Args:
        field: What to look for.
        low_mm: Lowest corner of the box to search, ``[3]`` RAS+ mm.
        high_mm: Its highest corner.

    Returns:
        Lowest and highest corner, ``[3]`` RAS+ mm each; None if the field is outside of everything
        in the whole box.
    """
    half_diagonal_mm = field.reach_mm / MARGIN
    grid = Grid.around(low_mm, high_mm, 2 * half_diagonal_mm / np.sqrt(3))
    nearest_mm = evaluate_dense(field, grid).min(axis=-1)
    occupied = np.argwhere(sign.inside(nearest_mm - field.reach_mm))
    if len(occupied) == 0:
        return None
    half_voxel = grid.spacing_mm / 2
    centers_mm = grid.to_mm(occupied)
    return centers_mm.min(axis=0) - half_voxel, centers_mm.max(axis=0) + half_voxel


def _block_sizes(grid: Grid, reach_mm: float) -> list[np.ndarray]:
    """Block sizes in voxels, coarse to fine, ending with one voxel.

    Blocks are kept about cubic in millimetres: the shortest edges are doubled as long as no voxel
    of a block lies farther than ``reach_mm`` from its centre.
    """
    sizes = [np.ones(3, dtype=int)]
    while True:
        size = sizes[-1]
        edge_mm = np.where(size < grid.shape, size * grid.spacing_mm, np.inf)
        grown = np.where((edge_mm < 1.5 * edge_mm.min()) & np.isfinite(edge_mm), 2 * size, size)
        if (grown == size).all() or _half_diagonal_mm(grid, grown) > reach_mm:
            return sizes[::-1]
        sizes.append(grown)


def _half_diagonal_mm(grid: Grid, size: np.ndarray) -> float:
    """From a block's centre to its farthest voxel centre; sheared grids have unequal diagonals."""
    corners = np.array(list(product((-0.5, 0.5), repeat=3))) * (size - 1)
    return float(np.linalg.norm(corners @ grid.affine[:3, :3].T, axis=1).max())


def _all_blocks(grid: Grid, size: np.ndarray) -> np.ndarray:
    return _lattice(-(-np.array(grid.shape) // size))


def _lattice(shape: Sequence[int] | np.ndarray) -> np.ndarray:
    """All index triples of a grid, ``[N, 3]``, the last index fastest."""
    return np.indices(tuple(shape)).reshape(3, -1).T


def _halved(level: Level, size: np.ndarray, grid: Grid) -> np.ndarray:
    """The next smaller blocks within those blocks of a level that may hold a surface."""
    reach_mm = MARGIN * _half_diagonal_mm(grid, level.size)
    parents = level.blocks[(np.abs(level.distances_mm) <= reach_mm).any(axis=1)]
    factors = level.size // size
    blocks: np.ndarray = (parents[:, None] * factors + _lattice(factors)).reshape(-1, 3)
    return blocks[(blocks * size < grid.shape).all(axis=1)]


def _query(
    field: DistanceField, grid: Grid, blocks: np.ndarray, size: np.ndarray, judged: _Judge
) -> Level:
    distances = field.distances_mm(grid.to_mm(blocks * size + (size - 1) / 2))
    return Level(size, blocks.astype(np.int32), *judged(distances))


def _followed_walls(
    field: DistanceField, grid: Grid, finest: Level, sides: np.ndarray, judged: _Judge
) -> Iterator[Level]:
    """Query the voxels on both sides of every wall that were not queried yet; mends ``sides``."""
    queried = np.zeros(grid.shape, dtype=bool)
    queried[tuple(finest.blocks.T)] = True
    while len(voxels := np.argwhere(_at_walls(sides) & ~queried)):
        level = _query(field, grid, voxels, finest.size, judged)
        sides[tuple(voxels.T)] = level.sides
        queried[tuple(voxels.T)] = True
        yield level


def _at_walls(sides: UInt[np.ndarray, "i j k"]) -> np.ndarray:
    """Voxels that have a neighbour (of six) on another side."""
    at_wall = np.zeros(sides.shape, dtype=bool)
    for axis in range(3):
        here, there = np.moveaxis(sides, axis, 0), np.moveaxis(at_wall, axis, 0)
        differs = here[1:] != here[:-1]
        there[1:] |= differs
        there[:-1] |= differs
    return at_wall


def _assemble(
    levels: Sequence[Level],
    values_of: Callable[[Level], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """Voxels ``low…high`` with the value of the finest block that was queried around each."""
    coarsest = levels[0].size
    first, last = low // coarsest, -(-high // coarsest)
    size = coarsest
    values = np.zeros(last - first, dtype=values_of(levels[0]).dtype)
    for level in levels:
        for axis, factor in enumerate(size // level.size):
            values = values.repeat(factor, axis=axis) if factor > 1 else values
        size = level.size
        blocks = level.blocks - first * (coarsest // size)
        within = ((blocks >= 0) & (blocks < values.shape)).all(axis=1)
        values[tuple(blocks[within].T)] = values_of(level)[within]
    begin, end = low - first * coarsest, high - first * coarsest
    return np.ascontiguousarray(values[tuple(map(slice, begin, end))])
