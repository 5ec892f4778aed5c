"""One number for how well shaped tetrahedra are, quickly: improving a mesh asks for it most."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

from vecsetx.machine import threads

__all__ = ["shapes", "shapes_at"]

_BLOCK = 1 << 13
"""Tetrahedra that are looked at together: their numbers stay in a processor's cache."""

_OTHERS = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""The other corners of a tetrahedron, so that the order of all four keeps its sign."""


def shapes(
    points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
) -> Float[np.ndarray, " t"]:
    """Return one number for the shape of each tetrahedron; negative if it is inside out.

    The least sine of the dihedral angles, which is small for angles near 0° and near 180° (Freitag
    and Ollivier-Gooch, "Tetrahedral mesh improvement using swapping and smoothing", Int J Numer
    Methods Eng 1997), or twice the scaled Jacobian, which is small for needles, if that is less.

    Args:
        points_mm: Vertices.
        tetrahedra: Their corners.
    """
    axes = np.ascontiguousarray(points_mm.T)
    found = np.empty(len(tetrahedra))

    def look(block: slice) -> None:
        found[block] = _shapes(*(axes[:, corner] for corner in tetrahedra[block].T))

    _in_blocks(look, len(tetrahedra), _BLOCK)
    return found


def shapes_at(
    points_mm: Float[np.ndarray, "v 3"],
    tetrahedra: Int[np.ndarray, "t 4"],
    corner: Int[np.ndarray, " t"],
    places_mm: Float[np.ndarray, "n p 3"],
    place: Int[np.ndarray, " t"],
) -> Float[np.ndarray, "t p"]:
    """Return the :func:`shapes` that tetrahedra would have if one of their corners lay elsewhere.

    Args:
        points_mm: Vertices.
        tetrahedra: Their corners.
        corner: Which of the four corners is elsewhere.
        places_mm: N rows of P places.
        place: The row with each tetrahedron's places.
    """
    axes, places = np.ascontiguousarray(points_mm.T), np.moveaxis(places_mm, 2, 0)
    count = places_mm.shape[1]
    found = np.empty((len(tetrahedra), count))

    def look(block: slice) -> None:
        own = np.take_along_axis(tetrahedra[block], _OTHERS[corner[block]], axis=1)
        others = (axes[:, each, None] for each in own.T)
        found[block] = _shapes(places[:, place[block]], *others)

    _in_blocks(look, len(tetrahedra), max(_BLOCK // count, 1))
    return found


def _in_blocks(look: Callable[[slice], None], count: int, size: int) -> None:
    blocks = [slice(first, first + size) for first in range(0, count, size)]
    # NumPy computes without the interpreter's lock, so that threads share the work.
    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(look, blocks))


def _shapes(
    p: Float[np.ndarray, "3 *n"],
    q: Float[np.ndarray, "3 *m"],
    r: Float[np.ndarray, "3 *m"],
    s: Float[np.ndarray, "3 *m"],
) -> Float[np.ndarray, " *n"]:
    """Return shapes by corners, one axis after the other; what lacks p is computed for all p."""
    a, b, c = q - p, r - p, s - p
    bc, ca, ab = _cross(b, c), _cross(c, a), _cross(a, b)
    base = _cross(r - q, s - q)
    volume = _dot(a, bc)  # six times the volume
    # Squares of areas (twice), of the facets opposite p, q, r and s, and of lengths.
    areas = [_dot(base, base), _dot(bc, bc), _dot(ca, ca), _dot(ab, ab)]
    lengths = [_square(s - r), _square(s - q), _square(r - q), _dot(a, a), _dot(b, b), _dot(c, c)]
    # 1. At the edge between facets i and j: sin = (3/2) · volume · length / (areas i and j).
    between = [(0, 1), (0, 2), (0, 3), (2, 3), (1, 3), (1, 2)]
    ratio = np.full_like(volume, np.inf)
    for length, (i, j) in zip(lengths, between, strict=True):
        np.minimum(ratio, length / np.maximum(areas[i] * areas[j], 1e-60), out=ratio)
    # 2. At the corners: the products of the edges that meet there.
    product = np.full_like(volume, 1e-60)
    for i, j, k in [(3, 4, 5), (3, 1, 2), (4, 0, 2), (5, 0, 1)]:
        np.maximum(product, lengths[i] * lengths[j] * lengths[k], out=product)
    np.minimum(ratio, 8 / product, out=ratio)
    return volume * np.sqrt(ratio)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (ax, ay, az), (bx, by, bz) = a, b
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _square(a: np.ndarray) -> np.ndarray:
    return _dot(a, a)
