"""Evaluate a field on a fine grid with an octree that queries voxels only near surfaces.

If a block's centre is farther from every surface than from the block's corners, the block contains
no surface, and one query stands for all of its voxels. Other blocks are split in half along their
edges, down to single voxels. "Surface" means the zero level of the exclusive distances: this
includes walls between structures that touch or overlap, and both walls of a gap between structures.

This bound is exact for true distances. A trained field may be steeper: :data:`MARGIN` allows for
that. A last pass catches the rest: wherever two neighbouring voxels have different labels, it
queries both, and it follows the walls until this holds everywhere. So every voxel edge that crosses
a surface has the field's own values at both ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vecsetx.anatomy import sign
from vecsetx.errors import InputError
from vecsetx.progress import counted_parts, stage
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid

__all__ = [
    "MARGIN",
    "ExclusiveOctree",
    "Level",
    "Octree",
    "OverlappingOctree",
    "evaluate_dense",
    "evaluate_exclusive",
    "evaluate_overlapping",
    "extent_mm",
    "find_extent_mm",
]

MARGIN = 1.25
"""How much steeper than a true distance the field may be without missing a surface in a block."""

_Classifier = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""The field's distances ``[M, K]`` → sides ``[M]``, and distances ``[M, K]`` to the surfaces."""


@dataclass(frozen=True, slots=True)
class Level:
    """All queries at one block size.

    Attributes:
        size: Voxels along each edge of a block, ``[3]``.
        blocks: Indices of the queried blocks, ``[M, 3]``, in units of this size.
        sides: What each block's centre is inside of, ``[M]``: a label, or one bit per structure.
        distances_mm: Distances at each block's centre, ``[M, K]`` float32.
    """

    size: np.ndarray
    blocks: np.ndarray
    sides: np.ndarray
    distances_mm: np.ndarray


@dataclass(frozen=True, slots=True)
class Octree:
    """A field on a grid, exact at the voxels next to surfaces.

    Attributes:
        grid: The grid.
        structures: Names of the K structures.
        levels: All queries, from coarse to fine.
    """

    grid: Grid
    structures: tuple[str, ...]
    levels: tuple[Level, ...]

    @property
    def queries(self) -> int:
        """Number of points at which the field was evaluated."""
        return sum(len(level.blocks) for level in self.levels)

    def distances_mm(
        self, index: int, low: Int[np.ndarray, "3"], high: Int[np.ndarray, "3"]
    ) -> Float[np.ndarray, "i j k"]:
        """Return distances to one structure on part of the grid, mm.

        Args:
            index: Index of the structure, 0…K-1.
            low: First voxel of the part along each axis.
            high: One past its last voxel along each axis.

        Returns:
            Float32 of shape ``high - low``. Exact at both ends of every voxel edge that crosses the
            surface; farther away the value of the block's centre, which has the right sign.
        """
        return _assemble(self.levels, lambda level: level.distances_mm[:, index], low, high)


@dataclass(frozen=True, slots=True)
class ExclusiveOctree(Octree):
    """An :class:`Octree` in which each point belongs to the one structure it is deepest inside.

    Its distances are exclusive
    (:func:`~vecsetx.reconstruction.distance_field.exclusive_distances`).

    Attributes:
        labels: Label of every voxel, uint8 in the grid's shape: 1…K in the order of
            ``structures``, 0 for background.
        unknown: Voxels that were left out and are background, in the grid's shape: structures end
            at their faces. None if there are none.
    """

    labels: np.ndarray
    unknown: np.ndarray | None = None

    def without(self, unknown: Bool[np.ndarray, "i j k"]) -> "ExclusiveOctree":
        """Return the octree with some voxels left out."""
        return replace(self, labels=np.where(unknown, np.uint8(0), self.labels), unknown=unknown)

    def rows(self, voxels: Int[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Return exclusive distances to all structures at voxels next to a wall, mm.

        Args:
            voxels: Indices of voxels that have a neighbour with another label.
        """
        # Voxels at walls are in one of the finest levels. Find them by their number in the grid.
        finest = [level for level in self.levels if (level.size == 1).all()]
        numbers = np.concatenate([self._numbers(level.blocks) for level in finest])
        distances = np.concatenate([level.distances_mm for level in finest])
        order = np.argsort(numbers)
        return distances[order[np.searchsorted(numbers, self._numbers(voxels), sorter=order)]]

    def _numbers(self, voxels: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(tuple(voxels.T), self.grid.shape)


@dataclass(frozen=True, slots=True)
class OverlappingOctree(Octree):
    """An :class:`Octree` in which structures may overlap.

    Its distances are the field's own.

    Attributes:
        sides: For every voxel, bit k says whether it is inside structure k.
    """

    sides: np.ndarray


def evaluate_exclusive(field: DistanceField, grid: Grid) -> ExclusiveOctree:
    """Evaluate a field on a grid, each point with the structure it is deepest inside.

    Args:
        field: The field to evaluate.
        grid: The grid.

    Returns:
        Labels of all voxels, and exact exclusive distances next to the surfaces.

    Raises:
        InputError: The field has more than 255 structures, or its reach is not positive.
    """
    if len(field.structures) > np.iinfo(np.uint8).max:
        raise InputError(f"a label map holds at most 255 structures, not {len(field.structures)}")

    def classify(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sign.label_of(distances).astype(np.uint8), exclusive_distances(distances)

    levels, labels = _evaluate(field, grid, classify)
    return ExclusiveOctree(grid, field.structures, levels, labels)


def evaluate_overlapping(field: DistanceField, grid: Grid) -> OverlappingOctree:
    """Evaluate a field on a grid, each structure independently, so that structures may overlap.

    One octree serves all structures, because a query returns the distances to all of them.

    Args:
        field: The field to evaluate.
        grid: The grid.

    Returns:
        What every voxel is inside of, and exact distances next to the surfaces.

    Raises:
        InputError: The field has more than 64 structures, or its reach is not positive.
    """
    count = len(field.structures)
    if count > 64:
        raise InputError(
            f"at most 64 structures can be meshed independently, not {count}; use fewer structures "
            "or shared surfaces"
        )
    # The smallest unsigned type with a bit per structure.
    kind = np.min_scalar_type(2**count - 1)
    bits = (1 << np.arange(count, dtype=np.uint64)).astype(kind)

    def classify(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sign.inside(distances) @ bits, distances

    return OverlappingOctree(grid, field.structures, *_evaluate(field, grid, classify))


def _evaluate(
    field: DistanceField, grid: Grid, classify: _Classifier
) -> tuple[tuple[Level, ...], np.ndarray]:
    """Return all levels of the octree, and the sides of all voxels."""
    if not field.reach_mm > 0:
        raise InputError(f"the field's reach must be positive, not {field.reach_mm} mm")
    # Coarse to fine: query all of the coarsest blocks, then the parts of those near a surface.
    levels: list[Level] = []
    for size in counted_parts(_block_sizes(grid, field.reach_mm / MARGIN), "level", even=False):
        blocks = _split_blocks(levels[-1], size, grid) if levels else _all_blocks(grid, size)
        levels.append(_query(field, grid, blocks, size, classify))
    sides = _assemble(levels, lambda level: level.sides, np.zeros(3, int), np.array(grid.shape))
    # Where the field is steeper than MARGIN allows, walls may leave the queried voxels.
    with stage("following walls"):
        levels.extend(_follow_walls(field, grid, levels[-1], sides, classify))
    return tuple(levels), sides


def evaluate_dense(field: DistanceField, grid: Grid) -> Float[np.ndarray, "i j k s"]:
    """Evaluate the field at every voxel, without an octree.

    Coarse grids need no octree, and tests compare the octrees with this.

    Args:
        field: The field to evaluate.
        grid: The grid.

    Returns:
        The field's own distances, ``[*grid.shape, K]`` float32, mm.
    """
    distances = np.empty((*grid.shape, len(field.structures)), dtype=np.float32)
    # Plane by plane, to save memory.
    plane = _lattice((1, *grid.shape[1:]))
    for i in counted_parts(range(grid.shape[0])):
        points_mm = grid.to_mm(plane + np.array([i, 0, 0]))
        distances[i] = field.distances_mm(points_mm).reshape(*grid.shape[1:], -1)
    return distances


def extent_mm(
    field: DistanceField, low_mm: np.ndarray, high_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a box around the heart, as :func:`find_extent_mm`, which must exist.

    Raises:
        InputError: No structure of the field reaches into the box.
    """
    found = find_extent_mm(field, low_mm, high_mm)
    if found is None:
        raise InputError(
            f"the model finds no structure between {np.round(low_mm)} and {np.round(high_mm)} mm; "
            "check that the input is like the model's training data"
        )
    return found


def find_extent_mm(
    field: DistanceField, low_mm: np.ndarray, high_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Find a box around the heart within a given search box.

    The box contains all of every structure in the search box, however thin. It may be too wide by
    up to a coarse block (about the field's reach) on each side.

    Args:
        field: The heart.
        low_mm: Lowest corner of the search box, ``[3]`` RAS+ mm.
        high_mm: Its highest corner.

    Returns:
        Lowest and highest corner, ``[3]`` RAS+ mm each; None if no structure reaches into the
        search box.
    """
    # In cubes of this half diagonal, any point of a structure is within reach of its cube's centre.
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
    """Return block sizes in voxels, coarse to fine, down to one voxel.

    Blocks stay about cubic in millimetres: their shortest edges are doubled as long as no voxel of
    a block lies farther than ``reach_mm`` from its centre.
    """
    sizes = [np.ones(3, dtype=int)]
    while True:
        size = sizes[-1]
        # Double the shortest edges, and those less than 1.5 times as long, so that anisotropic
        # voxels form cubes. Axes that a single block spans do not grow.
        edge_mm = np.where(size < grid.shape, size * grid.spacing_mm, np.inf)
        grown = np.where((edge_mm < 1.5 * edge_mm.min()) & np.isfinite(edge_mm), 2 * size, size)
        if (grown == size).all() or _half_diagonal_mm(grid, grown) > reach_mm:
            return sizes[::-1]
        sizes.append(grown)


def _half_diagonal_mm(grid: Grid, size: np.ndarray) -> float:
    """Distance from a block's centre to its farthest voxel centre."""
    # A sheared block's diagonals differ in length.
    corners = np.array(list(product((-0.5, 0.5), repeat=3))) * (size - 1)
    return float(np.linalg.norm(corners @ grid.affine[:3, :3].T, axis=1).max())


def _all_blocks(grid: Grid, size: np.ndarray) -> np.ndarray:
    return _lattice(-(-np.array(grid.shape) // size))


def _lattice(shape: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return all index triples of a grid, ``[N, 3]``, the last index changing fastest."""
    return np.indices(tuple(shape)).reshape(3, -1).T


def _split_blocks(level: Level, size: np.ndarray, grid: Grid) -> np.ndarray:
    """Split those blocks of a level that may contain a surface into blocks of the next size."""
    reach_mm = MARGIN * _half_diagonal_mm(grid, level.size)
    # A surface in the block would be within reach of the block's centre.
    parents = level.blocks[(np.abs(level.distances_mm) <= reach_mm).any(axis=1)]
    factors = level.size // size
    blocks: np.ndarray = (parents[:, None] * factors + _lattice(factors)).reshape(-1, 3)
    # Blocks at the end of an axis may extend beyond the grid: drop parts that start outside.
    return blocks[(blocks * size < grid.shape).all(axis=1)]


def _query(
    field: DistanceField, grid: Grid, blocks: np.ndarray, size: np.ndarray, classify: _Classifier
) -> Level:
    """Evaluate the field at the blocks' centres."""
    # Block b holds the voxels b·size … (b + 1)·size − 1; for even sizes, the centre is between two.
    distances = field.distances_mm(grid.to_mm(blocks * size + (size - 1) / 2))
    return Level(size, blocks.astype(np.int32), *classify(distances))


def _follow_walls(
    field: DistanceField, grid: Grid, finest: Level, sides: np.ndarray, classify: _Classifier
) -> Iterator[Level]:
    """Query all voxels on both sides of a wall that are not queried yet; corrects ``sides``."""
    queried = np.zeros(grid.shape, dtype=bool)
    queried[tuple(finest.blocks.T)] = True
    # The field's own values may move a wall to voxels that are not queried yet: repeat.
    while len(voxels := np.argwhere(_at_walls(sides) & ~queried)):
        level = _query(field, grid, voxels, finest.size, classify)
        sides[tuple(voxels.T)] = level.sides
        queried[tuple(voxels.T)] = True
        yield level


def _at_walls(sides: UInt[np.ndarray, "i j k"]) -> np.ndarray:
    """Mark voxels that have a neighbour (of six) on another side."""
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
    """Return voxels ``low…high``, each with the value of the finest queried block around it."""
    # Work on whole coarsest blocks around the part, and cut it out at the end.
    coarsest = levels[0].size
    first, last = low // coarsest, -(-high // coarsest)
    size = coarsest
    values = np.zeros(last - first, dtype=values_of(levels[0]).dtype)
    for level in levels:
        # Refine the values so far to this level's blocks, and overwrite those that it queried.
        for axis, factor in enumerate(size // level.size):
            values = values.repeat(factor, axis=axis) if factor > 1 else values
        size = level.size
        blocks = level.blocks - first * (coarsest // size)
        within = ((blocks >= 0) & (blocks < values.shape)).all(axis=1)
        values[tuple(blocks[within].T)] = values_of(level)[within]
    begin, end = low - first * coarsest, high - first * coarsest
    return np.ascontiguousarray(values[tuple(map(slice, begin, end))])
