"""A graded lattice of tetrahedra: as fine as asked for at interfaces, coarser away from them.

It begins as a body-centred cubic lattice, whose tetrahedra are all alike (dihedral angles of 60°
and 90°), and bisects the longest edge of each one that is too large. Three bisections give the same
lattice at half the size. Only an edge that is the longest of all tetrahedra around it is split;
where it is not, its longer neighbours are first (Rivara, "New longest-edge algorithms for the
refinement and/or improvement of unstructured triangulations", Int J Numer Methods Eng 1997). So no
tetrahedron is worse than those of the first three bisections.
"""

import math

import numpy as np
from jaxtyping import Float, Int

from vecsetx.volume_mesh.sampled_field import Field
from vecsetx.volume_mesh.splitting import (
    compact,
    distinct,
    ends_of,
    keys_of,
    places_of,
    split_edges,
)

__all__ = ["GROWTH", "LEVELS", "graded_lattice"]

LEVELS = 3
"""How often edges may double away from interfaces."""

GROWTH = 0.6
"""How much longer an edge may be per mm of its distance from the nearest interface."""


def graded_lattice(
    low_mm: Float[np.ndarray, "3"],
    high_mm: Float[np.ndarray, "3"],
    longest_mm: Float[np.ndarray, " k"],
    field: Field,
) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "t 4"]]:
    """Fill regions with tetrahedra, those that interfaces cut as fine as wanted.

    Args:
        low_mm: Corner of a box around all regions.
        high_mm: Opposite corner.
        longest_mm: Longest edge of tetrahedra at the interface of each region.
        field: Signed distances to the K regions; rough ones will do.

    Returns:
        Vertices in mm; and tetrahedra of positive volume, which cover all regions with a layer
        around them.
    """
    # In whole numbers, lengths that should be equal are. Halving them stays exact.
    finest_mm = float(longest_mm.min())
    levels = LEVELS + math.ceil(math.log2(longest_mm.max() / finest_mm))
    unit = 2 << levels
    cell_mm = finest_mm * (1 << levels)
    shape = np.ceil((high_mm - low_mm) / cell_mm).astype(int) + 2
    points, tetrahedra = _body_centered(shape, unit)
    # The first layer of cells lies outside the box: tetrahedra join the centres of two.
    scale, corner_mm = cell_mm / unit, low_mm - cell_mm
    longest, square = _longest(points, tetrahedra)
    distances = field(corner_mm + points * scale)
    while True:
        # 1. Leave out what lies outside; find what is larger than its interfaces allow.
        length = np.sqrt(square) * scale
        kept = distances.min(axis=1)[tetrahedra].max(axis=1) < length
        tetrahedra, longest, square, length = (
            each[kept] for each in (tetrahedra, longest, square, length)
        )
        large = length > 1.001 * _allowed(distances, tetrahedra, length, longest_mm)
        # 2. Split edges that are the longest of all tetrahedra around them.
        keys = _to_split(tetrahedra, longest, large, len(points))
        if not len(keys):
            break
        edges = ends_of(keys)
        count = len(tetrahedra)
        tetrahedra, part_of = split_edges(tetrahedra, edges, len(points))
        added = points[edges].sum(axis=1) // 2
        points = np.concatenate([points, added])
        distances = np.concatenate([distances, field(corner_mm + added * scale)])
        halves = np.flatnonzero(np.bincount(part_of, minlength=count)[part_of] > 1)
        longest, square = longest[part_of], square[part_of]
        longest[halves], square[halves] = _longest(points, tetrahedra[halves])
    used, tetrahedra = compact(tetrahedra, len(points))
    return corner_mm + points[used] * scale, tetrahedra


def _allowed(
    distances: np.ndarray, tetrahedra: np.ndarray, length: np.ndarray, longest_mm: np.ndarray
) -> np.ndarray:
    """Return the longest edge that each tetrahedron may have."""
    allowed = np.full(len(tetrahedra), np.inf)
    for edge_mm in np.unique(longest_mm):
        wall_mm = np.abs(distances[:, longest_mm == edge_mm]).min(axis=1)
        # Within a tetrahedron, distances change by at most its longest edge.
        nearest = np.maximum(wall_mm[tetrahedra].max(axis=1) - length, 0)
        allowed = np.minimum(allowed, edge_mm + GROWTH * nearest)
    return allowed


def _to_split(
    tetrahedra: np.ndarray, longest: np.ndarray, large: np.ndarray, vertices: int
) -> np.ndarray:
    """Return the edges to split so that tetrahedra which are too large become smaller."""
    marked = distinct(longest[large])
    while len(marked):
        # The longest edge of every tetrahedron around a marked one has to be split before it.
        around, places = places_of(tetrahedra, marked, vertices)
        with_neighbors = np.union1d(marked, longest[around])
        if len(with_neighbors) == len(marked):
            sharing = np.bincount(places[places >= 0], minlength=len(marked))
            agreeing = np.bincount(np.searchsorted(marked, longest[around]), minlength=len(marked))
            return marked[sharing == agreeing]
        marked = with_neighbors
    return marked


def _body_centered(shape: np.ndarray, unit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the tetrahedra of a lattice of cubes with an edge of ``unit``, and their centres."""
    count = shape + 1
    corners = np.indices(tuple(count)).reshape(3, -1).T
    cells = np.indices(tuple(shape)).reshape(3, -1).T
    points = np.concatenate([corners * unit, cells * unit + unit // 2]).astype(np.int32)
    found = []
    for axis in range(3):
        # Around the line between the centres of two neighbours: their common square's four edges.
        first = cells[cells[:, axis] < shape[axis] - 1]
        along, u, v = np.roll(np.eye(3, dtype=int), -axis, axis=0)
        centers = [
            len(corners) + np.ravel_multi_index(tuple(cell.T), tuple(shape))
            for cell in (first, first + along)
        ]
        square = [
            np.ravel_multi_index(tuple((first + along + way).T), tuple(count))
            for way in (0 * u, u, u + v, v)
        ]
        for here, there in zip(square, square[1:] + square[:1], strict=True):
            found.append(np.stack([*centers, here, there], axis=1))
    return points, np.concatenate(found).astype(np.int32)


def _longest(points: np.ndarray, tetrahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each longest edge, of equal ones that with the highest number, and its square."""
    keys = keys_of(tetrahedra)
    ends = points[ends_of(keys.ravel())].reshape(-1, 6, 2, 3)
    squares = ((ends[:, :, 0] - ends[:, :, 1]) ** 2).sum(axis=2)
    square = squares.max(axis=1)
    return np.where(squares == square[:, None], keys, -1).max(axis=1), square
