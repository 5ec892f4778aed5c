"""Averages over the points around a place."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

__all__ = ["mean_around"]


def mean_around(
    places: Float[np.ndarray, "m d"],
    points: Float[np.ndarray, "n d"],
    values: Float[np.ndarray, "n c"],
    count: int,
) -> Float[np.ndarray, "m c"]:
    """Return the mean of values at the points around each place.

    Weights are those of a normal distribution that ends with the last of the points around.

    Args:
        places: The places.
        points: The points.
        values: A value per point.
        count: Number of points around a place, at least 1.
    """
    around = np.arange(1, min(count, len(points)) + 1)
    distances, near = cKDTree(points).query(places, k=around)
    width = np.maximum(distances[:, -1:] / 1.5, 1e-9)
    weights = np.exp(-0.5 * (distances / width) ** 2)
    mean = np.einsum("mk,mkc->mc", weights, values[near])
    return np.asarray(mean / weights.sum(axis=1, keepdims=True))
