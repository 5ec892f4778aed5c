"""Farthest-point selection: few points that cover a surface evenly. Deterministic.

Farthest point sampling (Eldar et al., IEEE TIP 1997). A step of it is little work for one set of a
few hundred points, so that many sets take their steps together.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int, Integer

from vecsetx.errors import InputError

_CELLS = 16_384
"""Points of sets that take their steps together: as many as stay in a core's cache."""


def farthest_points(
    sets: Sequence[Float[np.ndarray, "_ 3"]], counts: Sequence[int]
) -> list[Int[np.ndarray, " _"]]:
    """Indices of some points of every set: its first, then always the one farthest from those.

    Args:
        sets: Sets of points; distances are compared in single precision.
        counts: How many of each. If there are no more, all are chosen.
    """
    chosen = [np.arange(0)] * len(sets)
    by_size = sorted(range(len(sets)), key=lambda index: len(sets[index]), reverse=True)
    while by_size:
        together = max(1, _CELLS // max(1, len(sets[by_size[0]])))
        block, by_size = by_size[:together], by_size[together:]
        steps = _steps([sets[i] for i in block], max(counts[i] for i in block))
        for row, index in enumerate(block):
            chosen[index] = steps[: min(counts[index], len(sets[index])), row]
    return chosen


def _steps(sets: list[np.ndarray], count: int) -> np.ndarray:
    """``[count, sets]`` indices; what follows after all of a set's points says nothing."""
    rows, width = len(sets), max(1, *(len(points) for points in sets))
    xyz = np.zeros((3, rows, width), dtype=np.float32)
    nearest = np.full((rows, width), -1, dtype=np.float32)  # beyond a set's end: never farthest
    for row, points in enumerate(sets):
        xyz[:, row, : len(points)] = points.T
        nearest[row, : len(points)] = np.inf
    flat, begins = xyz.reshape(3, -1), width * np.arange(rows)
    squares = np.empty_like(xyz)
    x, y, z = squares
    steps = np.zeros((count, rows), dtype=np.int64)
    for before, step in pairwise(steps):
        last = flat.take(begins + before, axis=1)
        np.subtract(xyz, last[:, :, None], out=squares)
        np.multiply(squares, squares, out=squares)
        np.add(x, y, out=x)
        np.add(x, z, out=x)
        np.minimum(nearest, x, out=nearest)
        nearest.argmax(axis=1, out=step)
    return steps


def anchors_of_hearts(
    points: Float[np.ndarray, "b n 3"], structure: Integer[np.ndarray, "b n"], count: int
) -> Int[np.ndarray, "b m"]:
    """Indices of ``count`` anchors of each heart: equal shares for its structures, if possible.

    Within a structure the anchors are farthest points. A structure with fewer points than its share
    gives all of them, and the others take over the rest.

    Raises:
        InputError: Fewer than ``count`` points.
    """
    hearts, available = structure.shape
    if count > available:
        raise InputError(
            f"{count} latents need as many surface points at least, not {available}; ask for "
            "more points or fewer latents"
        )
    structures = int(structure.max()) + 1
    label = structure + structures * np.arange(hearts)[:, None]
    # Numbers of 16 bits at most are sorted in linear time.
    label = label.astype(np.min_scalar_type(hearts * structures)).ravel()
    order = np.argsort(label, kind="stable")
    sizes = np.bincount(label, minlength=hearts * structures)
    counts = np.concatenate([_shares(of, count) for of in sizes.reshape(hearts, -1)])
    ends = np.cumsum(sizes)
    ordered = points.reshape(-1, 3).take(order, axis=0)
    sets = [ordered[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    found = farthest_points(sets, counts.tolist())
    at = np.concatenate([f + (e - s) for f, e, s in zip(found, ends, sizes, strict=True)])
    return order[at].reshape(hearts, count) - available * np.arange(hearts)[:, None]


def _shares(sizes: np.ndarray, count: int) -> np.ndarray:
    """How many of each structure's points become anchors; those with the fewest decide first."""
    shares, left = np.zeros_like(sizes), count
    present = np.flatnonzero(sizes)
    for others, k in enumerate(present[np.argsort(sizes[present], kind="stable")]):
        shares[k] = min(int(sizes[k]), left // (len(present) - others))
        left -= int(shares[k])
    return shares


def anchors_by_structure(
    points: Float[np.ndarray, "n 3"], structure: Integer[np.ndarray, " n"], count: int
) -> Int[np.ndarray, " m"]:
    """The anchors of one heart, as :func:`anchors_of_hearts` chooses them."""
    return anchors_of_hearts(points[None], structure[None], count)[0]
