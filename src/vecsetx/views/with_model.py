"""Reconstruct a heart from contours, for the estimate of shifts."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import Frame
from vecsetx.inference.encode import POINTS_FACTOR, EncodeOptions, encode_observation
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.observation import Observation
from vecsetx.views.shifts import Distances
from vecsetx.views.slices import Contours

__all__ = ["by_model"]


def by_model(trained: TrainedModel, seed: int) -> Distances:
    """Return how a model reconstructs contours.

    Args:
        trained: The model.
        seed: Seed of the points that it is shown.
    """
    options = EncodeOptions(seed=seed)

    def reconstructed(
        contours: Contours,
    ) -> Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n k"]]:
        order = np.random.default_rng(seed).permutation(len(contours.points_mm))
        chosen = order[: POINTS_FACTOR * trained.points]
        points_mm = contours.points_mm[chosen].astype(np.float32)
        frame = Frame.around(contours.points_mm, trained.mm_per_unit)
        observation = Observation(points_mm, contours.structure[chosen], None, frame)
        return encode_observation(observation, trained, options).distances_mm

    return reconstructed
