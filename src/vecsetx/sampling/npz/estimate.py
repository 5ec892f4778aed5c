"""Distances to every structure where only that to the nearest one is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from vecsetx.anatomy.sign import with_sign
from vecsetx.sampling.npz.discs import Discs

_FEWEST_COMPARED = 20
"""A structure's own error is told from at least so many points."""


@dataclass(frozen=True, slots=True)
class UnionPoints:
    """Points in space of which less is known than samples need.

    Attributes:
        points: ``[N, 3]`` float32, any unit of length.
        label: ``[N]`` k + 1 inside structure k, 0 outside of all.
        distance: ``[N]`` float32. Outside, the distance to the nearest structure. Inside, minus the
            distance either to the wall of the structure that the point is in, or to the outer wall
            of all structures together, which is no nearer.
    """

    points: Float[np.ndarray, "n 3"]
    label: Integer[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def estimated_distances(discs: Sequence[Discs], known: UnionPoints) -> Float[np.ndarray, "n k"]:
    """Signed distance of every point to every structure, as well as can be told.

    It is the distance to the structure's discs with the label's sign, put right by what is known:
    outside, the distance to the nearest structure; inside a structure, that its wall is no farther
    than the known distance; and everywhere, that no other structure is nearer.

    Args:
        discs: The K structures' surfaces.
        known: The points.

    Returns:
        ``[N, K]`` float32.
    """
    distances = rough_distances(discs, known.points)
    rows, is_inside = np.arange(len(distances)), known.label > 0
    nearest = np.where(is_inside, known.label - 1, distances.argmin(axis=1))
    own = np.abs(known.distance)
    own = np.where(is_inside, np.minimum(own, distances[rows, nearest]), own)
    distances = np.maximum(distances, own[:, None])
    distances[rows, nearest] = with_sign(own, is_inside)
    return distances


def rough_distances(
    discs: Sequence[Discs], points: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n k"]:
    """Unsigned distance of every point to every structure's discs, ``[N, K]`` float32."""
    return np.stack([surface.distances(points) for surface in discs], axis=1)


def estimation_error(discs: Sequence[Discs], known: UnionPoints) -> float:
    """How far the discs are from where the known distances say that the surfaces are.

    Args:
        discs: The K structures' surfaces.
        known: Points. Those outside of all structures are compared: only there the known distance
            is for certain that to the nearest structure.

    Returns:
        95 % of the distances are off by at most this, of every structure near which points lie; 0
        if none lies outside.
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
