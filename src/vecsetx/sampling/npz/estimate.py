"""Estimate the distances to all structures for points that have only that to the nearest one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from vecsetx.anatomy.sign import with_sign
from vecsetx.sampling.npz.discs import Discs

_FEWEST_COMPARED = 20
"""Fewest points from which a structure's own error is estimated."""


@dataclass(frozen=True, slots=True)
class UnionPoints:
    """Points in space with a distance to the union of all structures.

    Attributes:
        points: ``[N, 3]`` float32, any unit of length.
        label: ``[N]`` k + 1 inside structure k, 0 outside all structures.
        distance: ``[N]`` float32, the same unit. Outside, the distance to the nearest structure.
            Inside, minus the distance either to the wall of the structure that the point is in, or
            to the outer wall of the union, which is at least as far.
    """

    points: Float[np.ndarray, "n 3"]
    label: Integer[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def estimated_distances(discs: Sequence[Discs], known: UnionPoints) -> Float[np.ndarray, "n k"]:
    """Estimate the signed distance of every point to every structure.

    The estimate is the distance to the structure's discs, with the sign of the label. The known
    distance corrects it: outside, it is the distance to the nearest structure; inside a structure,
    its wall is at most that far; and nowhere is another structure nearer.

    Args:
        discs: The K structures' surfaces.
        known: The points.

    Returns:
        ``[N, K]`` float32.
    """
    # 1. Unsigned distances to the discs, and the structure that the known distance refers to.
    distances = rough_distances(discs, known.points)
    rows, is_inside = np.arange(len(distances)), known.label > 0
    nearest = np.where(is_inside, known.label - 1, distances.argmin(axis=1))
    # 2. Its distance is the known one; inside, that may be to the union's outer wall and too long.
    own = np.abs(known.distance)
    own = np.where(is_inside, np.minimum(own, distances[rows, nearest]), own)
    # 3. No other structure is nearer. The sign comes from the label.
    distances = np.maximum(distances, own[:, None])
    distances[rows, nearest] = with_sign(own, is_inside)
    return distances


def rough_distances(
    discs: Sequence[Discs], points: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n k"]:
    """Unsigned distance of every point to every structure's discs, ``[N, K]`` float32."""
    return np.stack([surface.distances(points) for surface in discs], axis=1)


def estimation_error(discs: Sequence[Discs], known: UnionPoints) -> float:
    """Error of the distances to discs, compared with the known distances.

    Args:
        discs: The K structures' surfaces.
        known: Points. Only those outside all structures are compared: inside, the known distance
            may be that to another wall.

    Returns:
        95th percentile of the absolute error, of the structure where it is largest (structures
        nearest to fewer than 20 points are left out); 0 if no point lies outside.
    """
    outside = known.label == 0
    if not outside.any():
        return 0.0
    rough = rough_distances(discs, known.points[outside])
    off, nearest = np.abs(rough.min(axis=1) - known.distance[outside]), rough.argmin(axis=1)
    by_structure = (off[nearest == k] for k in range(len(discs)))
    return max(
        (float(np.quantile(e, 0.95)) for e in by_structure if len(e) >= _FEWEST_COMPARED),
        default=0.0,
    )
