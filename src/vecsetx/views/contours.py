"""Outlines of structures in slices."""

from collections.abc import Sequence

import numpy as np

from vecsetx.views.slices import Contours, Slice

__all__ = ["contours_of"]

_APART_MM = 1.0
"""Distance between points of an outline."""

_SHORTEST_MM = 6.0
"""Shorter outlines are of specks."""


def contours_of(slices: Sequence[Slice]) -> Contours:
    """Return points on the outlines of all structures.

    Where two structures touch, both have points. An outline ends where the image does.
    """
    from skimage.measure import find_contours

    points, structures, numbers = [np.empty((0, 3))], [], []
    for number, one in enumerate(slices):
        for label in np.unique(one.labels[one.labels > 0]).tolist():
            for outline in find_contours((one.labels == label).astype(float), 0.5):
                at = _evenly(one.to_mm(outline))
                points.append(at)
                structures += [label - 1] * len(at)
                numbers += [number] * len(at)
    return Contours(
        np.concatenate(points),
        np.array(structures, dtype=np.int64),
        np.array(numbers, dtype=np.int64),
    )


def _evenly(outline_mm: np.ndarray) -> np.ndarray:
    """Return points at even distances along an outline; none of a short one."""
    ways_mm = np.linalg.norm(np.diff(outline_mm, axis=0), axis=1)
    along_mm = np.concatenate([[0.0], np.cumsum(ways_mm)])
    if along_mm[-1] < _SHORTEST_MM:
        return np.empty((0, 3))
    wanted = np.arange(0.0, along_mm[-1], _APART_MM)
    return np.stack([np.interp(wanted, along_mm, axis) for axis in outline_mm.T], axis=1)
