"""Showing hearts a little otherwise every time.

They are moved, so that the model does not lean on the frame, and never mirrored. Some are shown
without normals, so that the model can do without where none are known, as for labelled points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import Frame


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """How far hearts are moved.

    Attributes:
        rotation_deg: Largest angle, about a random axis.
        scale: Largest change of size, relative (0.1: from 1/1.1 to 1.1, evenly in the logarithm).
        shift: Largest shift along each axis, in units.
        without_normals: Share of the hearts that are shown without normals.
    """

    rotation_deg: float = 10.0
    scale: float = 0.1
    shift: float = 0.05
    without_normals: float = 0.2


@dataclass(frozen=True, slots=True)
class Movement:
    """How a heart is shown otherwise than it lies in its frame.

    Attributes:
        rotation: How it is turned about the frame's origin, ``[3, 3]`` float32.
        scale: By how much it is then made larger.
        shift: How far it is then shifted, in units.
        normals: Whether the model is shown its normals.
    """

    rotation: Float[np.ndarray, "3 3"]
    scale: float
    shift: tuple[float, float, float]
    normals: bool

    def from_mm(
        self, frame: Frame
    ) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"], float]:
        """What takes a heart from RAS+ mm to where it is shown, in units.

        In one go, because each pass over the points that are drawn takes as long as reading them.

        Returns:
            ``matrix`` and ``offset`` for points ``[N, 3]``, ``points_mm @ matrix + offset``, and
            the factor of lengths.
        """
        factor = frame.length_to_unit(self.scale)
        matrix = factor * self.rotation.T
        return matrix, self.shift - frame.center_mm @ matrix, factor


STILL = Movement(np.eye(3, dtype=np.float32), 1.0, (0.0, 0.0, 0.0), True)
"""A heart as it lies."""


def random_movement(spec: AugmentSpec, generator: np.random.Generator) -> Movement:
    """A random rotation, scale and shift, and whether normals are shown."""
    axis = generator.standard_normal(3).tolist()
    angle, size, x, y, z, hide = generator.random(6).tolist()
    return Movement(
        rotation_about(axis, math.radians(spec.rotation_deg) * (2 * angle - 1)),
        (1 + spec.scale) ** (2 * size - 1),
        (spec.shift * (2 * x - 1), spec.shift * (2 * y - 1), spec.shift * (2 * z - 1)),
        hide >= spec.without_normals,
    )


def rotation_about(axis: Sequence[float], angle: float) -> Float[np.ndarray, "3 3"]:
    """Rotation about an axis of any length by an angle in radians (Rodrigues' formula), float32.

    In plain numbers, because arrays of three take longer.
    """
    length = math.hypot(*axis)
    x, y, z = (along / length for along in axis)
    sine, cosine = math.sin(angle), math.cos(angle)
    versine = 1 - cosine
    return np.array(
        [
            [cosine + versine * x * x, versine * x * y - sine * z, versine * x * z + sine * y],
            [versine * x * y + sine * z, cosine + versine * y * y, versine * y * z - sine * x],
            [versine * x * z - sine * y, versine * y * z + sine * x, cosine + versine * z * z],
        ],
        np.float32,
    )
