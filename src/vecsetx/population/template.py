"""Corresponding anchors: row 17 of a heart's latent set means the same place in every heart.

A template heart has one anchor per row, spread over its surfaces. Its surface points are matched
one to one with those of another heart, structure by structure, so that the sum of squared distances
is smallest: optimal transport between two uniform samples of surfaces (Villani, "Topics in optimal
transportation", 2003). Which of two points next to each other a point is matched with is chance, so
that each anchor goes as far as the points around it go on average.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from vecsetx.model.anchors import anchors_by_structure
from vecsetx.population.averaging import mean_around
from vecsetx.sampling.observation import Observation

__all__ = ["MISSING", "Template"]

MISSING = -1
"""In place of an anchor's index: the heart lacks its structure."""

_MATCHED = 1200
"""Points of each structure that are matched; the time grows with their cube."""

_NORMAL_WEIGHT = 0.25
"""How far apart points count whose normals differ by one, where a structure has the size 1: both
sides of a wall have the same place, but opposite normals."""

_AROUND = 0.1
"""Share of a structure's matched points over which their displacements are averaged. Without that,
modes describe the chance of the matching, too (lab log, 2026-11-30)."""

_SPREADINGS = 1
"""Steps that even out the anchors (Lloyd's): where a heart differs from the template, some places
have no anchor near, which costs 0.001 to 0.002 Dice (lab log, 2026-11-30)."""


@dataclass(frozen=True, slots=True)
class Template:
    """The heart whose anchors are carried to all others.

    Attributes:
        points: ``[n, 3]`` surface points in units, anchors first.
        normals: ``[n, 3]`` their outward unit normals.
        structure: ``[n]`` index of each point's structure.
        anchors: Number of anchors M.
    """

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]
    anchors: int

    @classmethod
    def of(cls, heart: Observation, anchors: int) -> "Template":
        """Choose anchors of a heart by farthest points, with equal shares for its structures.

        Args:
            heart: Its surface points, with normals.
            anchors: Number of anchors.
        """
        points, normals = in_units(heart)
        chosen = anchors_by_structure(
            torch.from_numpy(points)[None], torch.from_numpy(heart.structure)[None], anchors
        )[0].numpy()
        order = np.concatenate([chosen, np.setdiff1d(np.arange(len(points)), chosen)])
        return cls(points[order], normals[order], heart.structure[order], anchors)

    def carry(self, heart: Observation) -> Int[np.ndarray, " m"]:
        """Return the index of each anchor among a heart's points; :data:`MISSING` for none.

        Args:
            heart: Surface points with normals, in the template's pose.
        """
        points, normals = in_units(heart)
        found = np.full(self.anchors, MISSING)
        for k in np.unique(self.structure[: self.anchors]):
            own = np.flatnonzero(self.structure == k)  # anchors come first
            there = np.flatnonzero(heart.structure == k)
            rows = own[own < self.anchors]
            count = min(len(own), len(there), max(_MATCHED, len(rows)))
            if count < len(rows):  # so few points cannot hold that many anchors
                continue
            here = _features(self.points[own], self.normals[own])
            other = _features(points[there], normals[there])
            to = _match(here[:count], other[:count])
            moved = _moved(here[:count], other[to], len(rows))
            found[rows] = there[_spread(other, moved)]
        return found


def in_units(heart: Observation) -> tuple[np.ndarray, np.ndarray]:
    """Return surface points, units, and their normals along the frame's axes; float32.

    Raises:
        ValueError: The heart has no normals.
    """
    if heart.normals is None:
        raise ValueError("corresponding anchors need normals")
    points = heart.frame.to_unit(heart.points_mm).astype(np.float32)
    return points, np.asarray(heart.frame.to_axes(heart.normals), dtype=np.float32)


def _features(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return points whose distances also tell apart the sides of a wall, ``[n, 6]``.

    Position and size of the whole make no difference.
    """
    offset = points.astype(np.float64) - points.mean(axis=0)
    size = np.sqrt((offset**2).sum(axis=1).mean())
    return np.concatenate([offset / max(float(size), 1e-9), _NORMAL_WEIGHT * normals], axis=1)


def _match(features: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Return with which of as many points each point is matched."""
    _, columns = linear_sum_assignment(cdist(features, to, "sqeuclidean"))
    return np.asarray(columns)


def _moved(features: np.ndarray, to: np.ndarray, count: int) -> np.ndarray:
    """Move the first points by the mean displacement around them.

    Args:
        features: ``[n, 6]`` matched points.
        to: ``[n, 6]`` what each is matched with.
        count: Number of points to move.
    """
    apart = features * [1, 1, 1, *3 * [1 / _NORMAL_WEIGHT]]  # both sides of a wall
    around = max(int(_AROUND * len(features)), 1)
    return features[:count] + mean_around(apart[:count], apart, to - features, around)


def _spread(features: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Move places to the middle of the points nearest to them, then each to a point of its own."""
    tree, normals = cKDTree(features), moved[:, 3:]
    for _ in range(_SPREADINGS):
        _, nearest = cKDTree(moved).query(features)
        count = np.bincount(nearest, minlength=len(moved))[:, None]
        sums = np.stack([np.bincount(nearest, side, len(moved)) for side in features.T], axis=1)
        middle = np.where(count > 0, sums / np.maximum(count, 1), moved)
        moved = features[tree.query(middle)[1]]
    moved[:, 3:] = normals  # in the middle of a bent piece, they may be those of the other side
    _, columns = linear_sum_assignment(cdist(moved, features, "sqeuclidean"))
    return np.asarray(columns)
