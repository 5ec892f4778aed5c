"""Distances between the surfaces of hearts that are known at their anchors alone.

Anchors of two equal hearts need not have the same places: they lie some millimetres apart from each
other along the surface. So an anchor's distance is measured to the tangent plane at the nearest
anchor of the same structure.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

__all__ = ["surface_distance"]


def surface_distance(
    points: Float[np.ndarray, "m 3"],
    positions: Float[np.ndarray, "m 3"],
    normals: Float[np.ndarray, "m 3"],
    structure: Int[np.ndarray, " m"],
) -> float:
    """Return the mean distance of a heart's anchors from another heart's surfaces.

    Args:
        points: The heart's anchors; NaN where it has none.
        positions: The other heart's; likewise.
        normals: Its unit normals there.
        structure: Index of each anchor's structure.

    Returns:
        The mean over all anchors whose structure both have, in the unit of the positions; infinity
        if there are none.
    """
    own = np.isfinite(points).all(axis=1)
    there = np.isfinite(positions).all(axis=1)
    distances = []
    for k in np.unique(structure[own]):
        of, to = own & (structure == k), there & (structure == k)
        if not to.any():
            continue
        _, nearest = cKDTree(positions[to]).query(points[of])
        offsets = points[of] - positions[to][nearest]
        distances.append(np.abs((offsets * normals[to][nearest]).sum(axis=1)))
    return float(np.concatenate(distances).mean()) if distances else float("inf")
