"""The interface between models and reconstruction: signed distances at any point in space."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class DistanceField(Protocol):
    """Signed distances to K structures at any point, such as an encoded heart.

    Distances may be truncated: beyond :attr:`reach_mm` only their sign needs to be right, and their
    magnitude to be at least about the reach.
    """

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the K structures, in the order of the distances."""
        ...

    @property
    def reach_mm(self) -> float:
        """Distances are reliable up to this magnitude."""
        ...

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Compute signed distances, negative inside.

        Args:
            points_mm: ``[N, 3]`` RAS+ mm. N may be millions; the field splits them into chunks.

        Returns:
            ``[N, K]`` float32, mm.
        """
        ...


def exclusive_distances(distances: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n k"]:
    """Turn distances to structures that may overlap into distances to disjoint regions.

    ``h_k = max(f_k, (f_k - min_{j≠k} f_j) / 2)`` is negative exactly where the point is deepest
    inside structure k, that is, where ``sign.label_of`` returns k. Hence the regions ``h_k < 0``
    are disjoint even where the structures ``f_k < 0`` overlap. Neighbours i and j share the wall
    ``f_i = f_j``, with ``h_i = -h_j`` around it. A gap between two structures stays a gap. If every
    f has slope at most 1, so has every h.

    Args:
        distances: Signed distances f to K structures.

    Returns:
        h, with the same shape and unit.
    """
    if distances.shape[-1] == 1:
        return distances
    # min_{j≠k} f_j is the lowest distance; for the lowest itself, it is the second lowest.
    two_lowest = np.partition(distances, 1, axis=-1)[..., :2]
    lowest, second = two_lowest[..., :1], two_lowest[..., 1:]
    is_lowest = np.arange(distances.shape[-1]) == distances.argmin(axis=-1)[..., None]
    lowest_other = np.where(is_lowest, second, lowest)
    return np.maximum(distances, (distances - lowest_other) / 2)
