"""Closed curves around patches of facets."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def loops_around(facets: np.ndarray) -> list[list[int]]:
    """Return the vertices of each closed curve of edges that one facet has alone, ascending.

    Curves that touch count as one. It fails where one ends.
    """
    edges = np.sort(facets[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, counts = np.unique(edges, axis=0, return_counts=True)
    edges = edges[counts == 1]
    size = int(edges.max()) + 1
    assert (np.bincount(edges.ravel()) % 2 == 0).all(), "a curve ends"
    graph = coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(size, size))
    piece = connected_components(graph, directed=False)[1]
    used = np.unique(edges)
    return [used[piece[used] == number].tolist() for number in np.unique(piece[used])]
