"""A heart's latents begin on the anchors of the same heart a moment before.

So the latents of consecutive frames belong to the same places of the heart.
"""

import numpy as np
from jaxtyping import Float, Int
from pykdtree.kdtree import KDTree

from vecsetx.sampling.observation import Observation

__all__ = ["anchors_from"]


def anchors_from(before: Observation, observation: Observation) -> Int[np.ndarray, " m"] | None:
    """Return which points of a heart become its anchors.

    Each anchor moves to the nearest point of its structure. Where several meet in one point, all
    but one go to the points of the structure that are farthest from its anchors.

    Args:
        before: The anchors of the moment before.
        observation: The heart's points.

    Returns:
        Indices of points, each once; None if the heart shows other structures than before, or too
        few points of one: its anchors are then chosen as those of a heart by itself.
    """
    structures = np.unique(before.structure)
    if not np.array_equal(structures, np.unique(observation.structure)):
        return None
    found = []
    for structure in structures.tolist():
        own = np.flatnonzero(observation.structure == structure)
        earlier_mm = before.points_mm[before.structure == structure]
        if len(own) < len(earlier_mm):
            return None
        found.append(own[_nearest(earlier_mm, observation.points_mm[own])])
    return np.concatenate(found)


def _nearest(
    earlier_mm: Float[np.ndarray, "m 3"], points_mm: Float[np.ndarray, "n 3"]
) -> Int[np.ndarray, " m"]:
    """Return the points that are nearest to some places, and others in place of repetitions."""
    tree = KDTree(points_mm.astype(np.float64))
    kept = np.unique(tree.query(earlier_mm.astype(np.float64))[1].astype(np.int64)).tolist()
    apart_mm2 = np.full(len(points_mm), np.inf)
    for point in kept:
        apart_mm2 = np.minimum(apart_mm2, ((points_mm - points_mm[point]) ** 2).sum(axis=1))
    while len(kept) < len(earlier_mm):
        kept.append(int(apart_mm2.argmax()))
        apart_mm2 = np.minimum(apart_mm2, ((points_mm - points_mm[kept[-1]]) ** 2).sum(axis=1))
    return np.array(kept, dtype=np.int64)
