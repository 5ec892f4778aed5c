"""Edges of a tetrahedral mesh, and their splitting: the one operation that adds vertices.

Every tetrahedron around an edge is split with it, so that a conforming mesh stays one.
"""

import numpy as np
from jaxtyping import Int

__all__ = [
    "EDGES",
    "compact",
    "distinct",
    "edges_of",
    "ends_of",
    "facets_of",
    "keys_of",
    "places_of",
    "split_edges",
]

EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
"""The corners of a tetrahedron's six edges."""

_FACETS = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""The corners of its four facets, opposite corner 0 to 3; counter-clockwise from outside."""


def compact(
    tetrahedra: Int[np.ndarray, "t 4"], vertices: int
) -> tuple[Int[np.ndarray, " v"], Int[np.ndarray, "t 4"]]:
    """Return the vertices that are used, in their order, and the tetrahedra in their numbers."""
    used = np.zeros(vertices, dtype=bool)
    used[tetrahedra] = True
    return np.flatnonzero(used), (np.cumsum(used, dtype=np.int32) - 1)[tetrahedra]


def distinct(numbers: Int[np.ndarray, "*n"]) -> Int[np.ndarray, " m"]:
    """Return each number once, in ascending order; ``numpy.unique`` takes several times as long."""
    ordered = np.sort(numbers, axis=None)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def edges_of(tetrahedra: Int[np.ndarray, "t 4"]) -> Int[np.ndarray, "e 2"]:
    """Return each edge once, its lower vertex first, in ascending order."""
    return ends_of(distinct(keys_of(tetrahedra)))


def keys_of(tetrahedra: Int[np.ndarray, "t 4"]) -> Int[np.ndarray, "t 6"]:
    """Return a number for each edge, the same in every tetrahedron."""
    ends = tetrahedra[:, EDGES].astype(np.int64)
    return (ends.min(axis=2) << 32) | ends.max(axis=2)


def ends_of(keys: Int[np.ndarray, " e"]) -> Int[np.ndarray, "e 2"]:
    """Return the vertices of edges by their numbers."""
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)


def places_of(
    tetrahedra: Int[np.ndarray, "t 4"], keys: Int[np.ndarray, " e"], vertices: int
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, "m 6"]]:
    """Find the tetrahedra that have some of the edges.

    Args:
        tetrahedra: Vertex indices.
        keys: Numbers of edges, ascending.
        vertices: Number of vertices.

    Returns:
        The tetrahedra, and where in the list each of their edges is, −1 for the others.
    """
    touched = np.zeros(vertices, dtype=bool)
    touched[ends_of(keys)] = True
    some = np.flatnonzero(touched[tetrahedra].sum(axis=1, dtype=np.int8) >= 2)
    own = keys_of(tetrahedra[some])
    at = np.searchsorted(keys, own).clip(max=max(len(keys) - 1, 0))
    places = np.where(keys[at] == own, at, -1) if len(keys) else np.full(own.shape, -1)
    has = (places >= 0).any(axis=1)
    return some[has], places[has]


def facets_of(tetrahedra: Int[np.ndarray, "t 4"]) -> Int[np.ndarray, "f 3"]:
    """Return the four facets of each tetrahedron in turn, counter-clockwise from outside."""
    return tetrahedra[:, _FACETS].reshape(-1, 3)


def split_edges(
    tetrahedra: Int[np.ndarray, "t 4"], edges: Int[np.ndarray, "e 2"], first: int
) -> tuple[Int[np.ndarray, "t2 4"], Int[np.ndarray, " t2"]]:
    """Split edges, each at a vertex of its own.

    Where a tetrahedron has several of them, the first of the list is split first. So two
    tetrahedra split the facet that they share in the same way.

    Args:
        tetrahedra: Vertex indices.
        edges: The edges to split, each once, the lower vertex first.
        first: Index of the vertex on the first edge; those of the others follow.

    Returns:
        The tetrahedra after it, and the tetrahedron that each is a part of.
    """
    keys = (edges[:, 0].astype(np.int64) << 32) | edges[:, 1]
    order = np.argsort(keys)
    # 1. Leave alone what has no such edge.
    origin, places = places_of(tetrahedra, keys[order], first)
    rest = np.delete(np.arange(len(tetrahedra)), origin)
    done, parts = [tetrahedra[rest]], [rest]
    corners = tetrahedra[origin]
    # The place of each edge in the caller's list; of none, the list's length.
    ranks = np.where(places < 0, len(edges), order[places]) if len(edges) else places
    while len(corners):
        # 2. Two halves at the first edge: the new vertex takes the place of either end.
        rows, edge = np.arange(len(corners)), ranks.argmin(axis=1)
        rank = ranks[rows, edge]
        halves, left = [], []
        for end in range(2):
            replaced = EDGES[edge, end]
            half, remaining = corners.copy(), ranks.copy()
            half[rows, replaced] = first + rank
            # Edges to the new vertex are new, and so not in the list.
            remaining[(replaced[:, None, None] == EDGES).any(axis=2)] = len(edges)
            halves.append(half)
            left.append(remaining)
        corners, ranks = np.concatenate(halves), np.concatenate(left)
        origin = np.concatenate([origin, origin])
        # 3. Go on with those that have another one.
        more = (ranks < len(edges)).any(axis=1)
        done.append(corners[~more])
        parts.append(origin[~more])
        corners, ranks, origin = corners[more], ranks[more], origin[more]
    return np.concatenate(done), np.concatenate(parts)
