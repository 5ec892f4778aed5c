"""Centrelines of vessels, branches included, from the voxels inside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Real
from scipy import ndimage
from scipy.interpolate import BSpline, splprep
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from vecsetx.geometry.connected import number_pieces

__all__ = ["Branch", "along", "branches_of"]

_MOST_BRANCHES = 200
"""Of one piece; beyond, a rough surface is taken for a tree."""

_LEAST_VOXELS = 4
"""Voxels of the shortest path that a curve is drawn through."""

_LEAST_PIECE_SHARE = 0.01
"""Smaller pieces of a vessel have no centreline, as a share of its volume."""

_WIDTHS, _MORE_VOXELS = 1.5, 2.0
"""All belongs to a branch that is no farther from its middle than this many radii and voxels."""

_STEP_VOXELS = 0.5
"""Distance between the points of a centreline."""

_CENTRINGS = 3
"""How often a curve is moved to the middle of the vessel: its path along voxels cuts corners."""

_NOISE_VOXELS = 0.3
"""By so much a path along voxels lies beside a smooth curve: the root of the mean square of errors
spread evenly over a voxel."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a vessel without forks.

    Attributes:
        points_mm: ``[n, 3]`` its centreline, RAS+ mm, evenly spaced.
        begins_in_parent: Whether it begins on the centreline of another branch.
    """

    points_mm: Float[np.ndarray, "n 3"]
    begins_in_parent: bool

    @property
    def length_mm(self) -> float:
        """Length of the centreline."""
        return float(along(self.points_mm)[-1])


def branches_of(
    inside: Bool[np.ndarray, "i j k"], spacing_mm: float, origin_mm: Float[np.ndarray, "3"]
) -> list[Branch]:
    """Return the centrelines of a vessel's branches, the main one of each piece first.

    The main one leads between the two points that are farthest apart within the piece. As long as
    there are voxels that lie around none, the farthest of them ends a further one (Sato et al.,
    "TEASAR: tree-structure extraction algorithm for accurate and robust skeletons", Pacific
    Graphics 2000).

    Args:
        inside: Voxels of the vessel, cubes.
        spacing_mm: Their size.
        origin_mm: Centre of the first voxel, RAS+ mm; the axes are R, A and S.
    """
    pieces, _ = number_pieces(inside)
    found: list[Branch] = []
    for piece, box in enumerate(ndimage.find_objects(pieces.astype(np.int32)), start=1):
        within = np.pad(pieces[box] == piece, 1)
        if within.sum() >= _LEAST_PIECE_SHARE * inside.sum():
            low = np.array([side.start for side in box]) - 1
            found += [
                Branch(origin_mm + spacing_mm * (low + points), begins_in_parent)
                for points, begins_in_parent in _Tree(within).branches()
            ]
    return found


class _Tree:
    """One connected piece of a vessel; lengths are in voxels.

    Attributes:
        radius: ``[I, J, K]`` distance to the surface; 0 outside.
    """

    def __init__(self, inside: np.ndarray) -> None:
        # Half a voxel lies between the last voxel inside and the surface.
        self.radius = np.maximum(ndimage.distance_transform_edt(inside) - 0.5, 0) * inside
        self._voxels = np.argwhere(inside)
        self._plain, self._centred = _graphs(inside, self._voxels, self.radius)

    def branches(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield curves ``[n, 3]`` in voxels, and whether each begins on an earlier one."""
        left = np.ones(len(self._voxels), dtype=bool)
        end = int(self._distances([0]).argmax())
        tree, tip = [end], int(self._distances([end]).argmax())
        for number in range(_MOST_BRANCHES):
            path = self._path(tree, tip)
            tree += path
            curve = _smooth(self._voxels[path], self._voxels, self.radius, number > 0)
            if len(path) >= _LEAST_VOXELS:
                yield curve, number > 0
            # What lies around the branch belongs to it; the rest belongs to others.
            left &= ~self._around(self._voxels[path], curve)
            if not left.any():
                return
            distances = self._distances(tree)
            tip = int(np.where(left, distances, -1).argmax())

    def _around(self, path: np.ndarray, curve: np.ndarray) -> np.ndarray:
        """Return which voxels lie within the width of a branch, and a little more."""
        width = self.radius[tuple(path.T)]
        points = np.concatenate([path, curve])
        # A curve's ends reach the surface, but the branch is as wide there as before.
        _, nearest_path = cKDTree(path).query(curve)
        lone = ndimage.maximum_filter1d(width, 2 * int(width.max()) + 1)
        widths = np.concatenate([lone, lone[nearest_path]])
        away, nearest = cKDTree(points).query(self._voxels)
        return np.asarray(away <= _WIDTHS * widths[nearest] + _MORE_VOXELS)

    def _distances(self, starts: list[int]) -> np.ndarray:
        """Return the way within the vessel from the nearest of some voxels to each."""
        return np.asarray(dijkstra(self._plain, indices=starts, min_only=True))

    def _path(self, starts: list[int], end: int) -> list[int]:
        """Return the way to a voxel from the nearest of some others, through the middle."""
        _, before, _ = dijkstra(
            self._centred, indices=starts, min_only=True, return_predecessors=True
        )
        path = [end]
        while (previous := int(before[path[-1]])) >= 0:
            path.append(previous)
        return path[::-1]


def _graphs(
    inside: np.ndarray, voxels: np.ndarray, radius: np.ndarray
) -> tuple[csr_array, csr_array]:
    """Return graphs of neighbouring voxels: with their distance, and with what a path costs.

    Paths keep to the middle: a step there costs less, the more so the wider the vessel.
    """
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(len(voxels))
    cost = ((radius.max() + 1) / (radius[inside] + 1)) ** 4
    # A border of voxels outside surrounds all. Steps in this order give ascending numbers.
    steps = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])
    others = number[tuple(np.moveaxis(voxels[:, None] + steps, 2, 0))]
    there = others >= 0
    rows, columns = np.nonzero(there)[0], others[there]
    lengths = np.broadcast_to(np.linalg.norm(steps, axis=1), there.shape)[there]
    costs = lengths * (cost[rows] + cost[columns]) / 2
    ends = np.concatenate([[0], there.sum(axis=1).cumsum()])
    size = (len(voxels), len(voxels))
    plain, centred = (csr_array((w, columns, ends), size) for w in (lengths, costs))
    return plain, centred


def _smooth(
    path: np.ndarray, voxels: np.ndarray, radius: np.ndarray, begins_in_parent: bool
) -> np.ndarray:
    """Return a smooth curve along a path of voxels, evenly spaced, from surface to surface.

    A path's end lies at the rim of the vessel's end, where it left the middle: that part is
    replaced by a straight continuation.

    Args:
        path: ``[n, 3]`` voxels.
        voxels: ``[v, 3]`` all voxels of the vessel.
        radius: ``[I, J, K]`` distance to the surface.
        begins_in_parent: Whether the path's first voxel is no end.
    """
    width = radius[tuple(path.T)]
    middle = _without_ends(path, width, begins_in_parent)
    if len(middle) < 4:
        return middle.astype(float)
    spline = _spline(middle, len(middle) * 3 * _NOISE_VOXELS**2)
    if not begins_in_parent:
        for _ in range(_CENTRINGS):
            spline = _centred(spline, voxels, float(np.median(width)))
    points = _spaced(spline)
    if not begins_in_parent:
        points = np.concatenate([_to_surface(points[::-1], radius)[::-1], points])
    return np.concatenate([points, _to_surface(points, radius)])


def _centred(spline: BSpline, voxels: np.ndarray, width: float) -> BSpline:
    """Return a curve through the centroids of the cross-sections of a vessel along another curve.

    Where a vessel bends, its outer side has more voxels: each counts for as much of the curve's
    length as it takes at its distance from the bend's centre.
    """
    points = _spaced(spline)
    share = np.linspace(0, 1, len(points))
    first, second = spline(share, 1), spline(share, 2)
    square = (first**2).sum(axis=1, keepdims=True)
    bend = (second - (second * first).sum(axis=1, keepdims=True) * first / square) / square
    away, nearest = cKDTree(points).query(voxels)
    # What lies beyond the ends, or beside the branch, belongs to no cross-section.
    own = (away <= _WIDTHS * width + _MORE_VOXELS) & (nearest > 0) & (nearest < len(points) - 1)
    nearest, offset = nearest[own], voxels[own] - points[nearest[own]]
    weight = 1 / np.maximum(1 - (bend[nearest] * offset).sum(axis=1), 0.3)
    total = np.bincount(nearest, weight, len(points))
    moved = np.stack([np.bincount(nearest, weight * d, len(points)) for d in offset.T], axis=1)
    # Means over half a radius: single steps hold few voxels.
    sigma = max(width / 2 / _STEP_VOXELS / 2, 1.0)
    spread = partial(ndimage.gaussian_filter1d, sigma=sigma, axis=0, mode="nearest")
    shift = spread(moved) / np.maximum(spread(total), 1e-9)[:, None]
    return _spline(points + shift, len(points) * 3 * (_NOISE_VOXELS / 5) ** 2)


def _spline(points: np.ndarray, residual: float) -> BSpline:
    """Return a smoothing spline over 0…1 whose squares of errors add up to ``residual``."""
    (knots, coefficients, degree), _ = splprep(points.T.astype(float), s=residual, k=3)
    return BSpline(knots, np.stack(coefficients, axis=1), degree)


def _spaced(spline: BSpline) -> np.ndarray:
    """Return points every half a voxel along a spline over 0…1."""
    fine = spline(np.linspace(0, 1, 16 * len(spline.c) + 200))
    way = along(fine)
    steps = np.linspace(0, way[-1], max(int(way[-1] / _STEP_VOXELS), 2) + 1)
    return np.stack([np.interp(steps, way, side) for side in fine.T], axis=1)


def _without_ends(path: np.ndarray, radius: np.ndarray, begins_in_parent: bool) -> np.ndarray:
    """Cut off a path's ends within a radius of the vessel's end."""
    way = along(path)
    # Near its end, the vessel is as wide as the middle of the path is there.
    kept = np.ones(len(path), dtype=bool)
    for from_end in (way[-1] - way,) if begins_in_parent else (way, way[-1] - way):
        near = from_end < 2 * radius.max()
        wide = radius[near].max() if near.any() else 0
        kept &= from_end >= wide
    return np.asarray(path[kept] if kept.sum() >= 2 else path[[0, -1]])


def _to_surface(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the points that lead straight on from a curve's end to the vessel's surface."""
    reach = min(len(points) - 1, 8)
    way = points[-1] - points[-1 - reach]
    way = way / max(float(np.linalg.norm(way)), 1e-9)
    steps = np.arange(0, 4 * radius.max() + 2, _STEP_VOXELS / 10)
    ahead = points[-1] + steps[:, None] * way
    within = ndimage.map_coordinates((radius > 0).astype(float), ahead.T, order=1) >= 0.5
    last = len(within) - 1 if within.all() else int(within.argmin()) - 1
    # Every tenth of them, and the last one inside.
    return np.asarray(ahead[[*range(10, last, 10), last]] if last > 0 else ahead[:0])


def along(points: Real[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Return the way along a line from its first point to each of its points."""
    return np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
