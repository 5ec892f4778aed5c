"""What a model sees of a heart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.frame import Frame

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True)
class Observation:
    """A model's input from one heart: labelled surface points, and their frame.

    Attributes:
        points_mm: ``[N, 3]`` float32, RAS+ mm, in random order.
        structure: ``[N]`` int64, index 0…K−1 of each point's structure.
        normals: ``[N, 3]`` float32, unit, pointing out of that structure; None if unknown.
        frame: The frame, computed from the observed surfaces.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]
    normals: Float[np.ndarray, "n 3"] | None
    frame: Frame
