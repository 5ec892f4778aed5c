"""Numbers packed for a page, which unpacks them with the browser's own gzip (``unpack.js``).

Values that follow one another are alike, so their differences are stored: the lowest bytes of all,
then the higher ones, most of which are 0. Gzip shortens that to a third of what it makes of plain
float32 vertices and indices.
"""

import base64
import gzip

import numpy as np
from jaxtyping import Float, Int, Integer

STEP_MM = 0.01
"""Places are rounded to multiples of it."""

_LARGEST = 2**16 - 1


def packed(data: bytes) -> str:
    """Bytes as gzip in base64, the same for the same bytes."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def vertex_bytes(vertices_mm: Float[np.ndarray, "v 3"], low_mm: Float[np.ndarray, "3"]) -> bytes:
    """Vertices as whole steps from ``low_mm``: of each axis the first, then the differences.

    Raises:
        ValueError: A vertex lies below ``low_mm``, or more than 655 mm beyond it.
    """
    steps = np.rint((vertices_mm - low_mm) / STEP_MM).astype(np.int64)
    if steps.size and not (steps.min() >= 0 and steps.max() <= _LARGEST):
        raise ValueError("vertices lie outside the box that a page can show")
    return b"".join(_byte_planes(_unsigned(np.diff(axis, prepend=0))) for axis in steps.T)


def face_bytes(faces: Int[np.ndarray, "f 3"]) -> bytes:
    """Indices as what they lie below the first index that has not been used yet.

    Args:
        faces: Indices that are first used in the order 0, 1, 2, …, as of :func:`in_order_of_use`.
    """
    flat = faces.ravel()
    used = np.maximum.accumulate(flat) + 1
    next_new = np.concatenate([[0], used[:-1]]) if len(flat) else used
    return _byte_planes(next_new - flat)


def in_order_of_use(
    vertices_mm: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Float[np.ndarray, "v2 3"], Int[np.ndarray, "f 3"]]:
    """The same mesh with neighbours beside each other: faces by place, vertices by first use.

    Vertices that no face uses are left out.
    """
    centers = vertices_mm[faces].mean(axis=1)
    faces = faces[_along_a_curve(centers)] if len(faces) else faces
    _, first, number = np.unique(faces, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    used = faces.ravel()[first[order]]
    return vertices_mm[used], rank[number].reshape(faces.shape)


def _along_a_curve(points: np.ndarray) -> np.ndarray:
    """Order of points row by row, every other one backwards, through cells of a coarse grid."""
    low, extent = points.min(axis=0), float(np.ptp(points, axis=0).max()) or 1.0
    i, j, k = ((points - low) / extent * 31).astype(np.int64).T
    j = np.where(i % 2, 31 - j, j)
    k = np.where((i + j) % 2, 31 - k, k)
    return np.lexsort((k, j, i))


def _unsigned(values: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    """Without signs: 0, −1, 1, −2, 2 as 0, 1, 2, 3, 4."""
    return np.where(values < 0, -2 * values - 1, 2 * values)


def _byte_planes(values: Integer[np.ndarray, " n"]) -> bytes:
    """The lowest bytes of all numbers, then the middle ones, then the highest."""
    return b"".join(((values >> shift) & 255).astype(np.uint8).tobytes() for shift in (0, 8, 16))
