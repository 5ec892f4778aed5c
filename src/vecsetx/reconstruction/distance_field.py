"""What a reconstruction needs of a model: distances to every structure, anywhere in the patient."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class DistanceField(Protocol):
    """Signed distances to K structures at any point; the trained model is one.

    The distances may be truncated: beyond some millimetres only their sign and a magnitude near the
    truncation are asked for.
    """

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the K structures, in the order of the distances."""
        ...

    @property
    def reach_mm(self) -> float:
        """Up to here the magnitude of the distances can be relied on."""
        ...

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Signed distances, negative inside.

        Args:
            points_mm: ``[N, 3]`` RAS+ mm. N may be millions; the field works in chunks itself.

        Returns:
            ``[N, K]`` float32, mm.
        """
        ...


def exclusive_distances(distances: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n k"]:
    """Distances to the parts of space that belong to one structure alone.

    ``h_k = max(f_k, (f_k - min_{j≠k} f_j) / 2)`` is negative exactly where k is the structure that
    the point is deepest inside, that is where ``sign.label_of`` says k. So the h of a field never
    overlap, wherever the field's own distances do: neighbours i and j share the wall ``f_i = f_j``,
    with ``h_i = -h_j`` around it. A gap between two structures stays a gap. If every f has slope
    at most 1, so has every h.

    Args:
        distances: Signed distances f to K structures.

    Returns:
        h, in the same shape and unit.
    """
    if distances.shape[-1] == 1:
        return distances
    two_lowest = np.partition(distances, 1, axis=-1)[..., :2]
    lowest, second = two_lowest[..., :1], two_lowest[..., 1:]
    is_lowest = np.arange(distances.shape[-1]) == distances.argmin(axis=-1)[..., None]
    lowest_other = np.where(is_lowest, second, lowest)
    return np.maximum(distances, (distances - lowest_other) / 2)
