"""Compress meshes for a page, which decompresses them with the browser's gzip (``unpack.js``).

Consecutive values are similar, so their differences are stored: first the lowest bytes of all
differences, then the higher bytes, most of which are 0. The result of gzip is a third as large as
for plain float32 vertices and indices.
"""

import base64
import gzip

import numpy as np
from jaxtyping import Float, Int, Integer

STEP_MM = 0.01
"""Coordinates are rounded to multiples of this."""

_LARGEST = 2**16 - 1


def gzip_base64(data: bytes) -> str:
    """Compress bytes with gzip and encode them as base64; deterministic."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def vertex_bytes(vertices_mm: Float[np.ndarray, "v 3"], low_mm: Float[np.ndarray, "3"]) -> bytes:
    """Encode vertices as steps of 0.01 mm from ``low_mm``: per axis the first, then differences.

    Args:
        vertices_mm: Vertices.
        low_mm: Lower corner of a box that contains them.

    Raises:
        ValueError: A vertex lies below ``low_mm``, or more than 655 mm beyond it.
    """
    steps = np.rint((vertices_mm - low_mm) / STEP_MM).astype(np.int64)
    if steps.size and not (steps.min() >= 0 and steps.max() <= _LARGEST):
        raise ValueError("vertices lie outside the box that a page can store (655 mm a side)")
    return b"".join(_byte_planes(_unsigned(np.diff(axis, prepend=0))) for axis in steps.T)


def face_bytes(faces: Int[np.ndarray, "f 3"]) -> bytes:
    """Encode each vertex index as its offset below the lowest index not yet used.

    Args:
        faces: Indices that first occur in the order 0, 1, 2, …, as after :func:`in_order_of_use`.
    """
    flat = faces.ravel()
    # A new vertex has offset 0, one that was just used a small one.
    used = np.maximum.accumulate(flat) + 1
    next_unused = np.concatenate([[0], used[:-1]]) if len(flat) else used
    return _byte_planes(next_unused - flat)


def in_order_of_use(
    vertices_mm: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Float[np.ndarray, "v2 3"], Int[np.ndarray, "f 3"]]:
    """Reorder a mesh so that it compresses well: faces by position, vertices by first use.

    Unused vertices are removed.
    """
    centers = vertices_mm[faces].mean(axis=1)
    faces = faces[_along_a_curve(centers)] if len(faces) else faces
    # Number the vertices by their first use.
    _, first, number = np.unique(faces, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    used = faces.ravel()[first[order]]
    return vertices_mm[used], rank[number].reshape(faces.shape)


def _along_a_curve(points: np.ndarray) -> np.ndarray:
    """Order of points along a serpentine path through the cells of a coarse grid."""
    low, extent = points.min(axis=0), float(np.ptp(points, axis=0).max()) or 1.0
    i, j, k = ((points - low) / extent * 31).astype(np.int64).T
    # Every other row and layer runs backwards, so that consecutive cells touch.
    j = np.where(i % 2, 31 - j, j)
    k = np.where((i + j) % 2, 31 - k, k)
    return np.lexsort((k, j, i))


def _unsigned(values: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    """Zigzag encoding: map 0, −1, 1, −2, 2 to 0, 1, 2, 3, 4."""
    return np.where(values < 0, -2 * values - 1, 2 * values)


def _byte_planes(values: Integer[np.ndarray, " n"]) -> bytes:
    """The lowest bytes of all numbers, then the middle bytes, then the highest."""
    return b"".join(((values >> shift) & 255).astype(np.uint8).tobytes() for shift in (0, 8, 16))
