"""Corresponding anchors: row 17 of a heart's latent set means the same place in every heart.

A template heart has one anchor per row, spread over its surfaces. Its surface points are matched
one to one with those of another heart, structure by structure, so that the sum of squared distances
is smallest: optimal transport between two uniform samples of surfaces (Villani, "Topics in optimal
transportation", 2003). Each anchor goes where its point goes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from vecsetx.model.anchors import anchors_by_structure
from vecsetx.sampling.sampler import Observation

__all__ = ["MISSING", "Template"]

MISSING = -1
"""In place of an anchor's index: the heart lacks its structure."""

_MATCHED = 1200
"""Points of each structure that are matched; the time grows with their cube."""

_NORMAL_WEIGHT = 0.25
"""How far apart points count whose normals differ by one, where a structure has the size 1: both
sides of a wall have the same place, but opposite normals."""

_SPREADINGS = 2
"""Steps that even out the anchors (Lloyd's): where a heart differs from the template, matching
leaves some places without an anchor near, which costs twice as much Dice (lab log, 2026-11-30)."""


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
            found[rows] = there[_spread(other, to[: len(rows)])]
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


def _spread(features: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Move chosen points to the middle of those nearest to them; each stays a point of its own."""
    tree, moved = cKDTree(features), features[chosen]
    for _ in range(_SPREADINGS):
        _, nearest = cKDTree(moved).query(features)
        count = np.maximum(np.bincount(nearest, minlength=len(moved)), 1)
        sums = [np.bincount(nearest, side, len(moved)) for side in features.T]
        moved = features[tree.query(np.stack(sums, axis=1) / count[:, None])[1]]
    _, columns = linear_sum_assignment(cdist(moved, features, "sqeuclidean"))
    return np.asarray(columns)
