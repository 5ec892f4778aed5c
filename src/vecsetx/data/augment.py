"""Random augmentation of training hearts.

Hearts are rotated, scaled and shifted, so that the model does not rely on the exact frame. They are
never mirrored. Some go to the encoder without normals, so that it can also encode points whose
normals are unknown, such as labelled points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import Frame
from vecsetx.ranges import Angle, Share

__all__ = [
    "IDENTITY",
    "AugmentSpec",
    "Augmentation",
    "FromMm",
    "random_augmentation",
    "rotation_about",
]


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """Ranges of the random augmentation.

    Attributes:
        rotation_deg: Largest angle of rotation about a random axis, degrees.
        scale: Largest relative change of size (0.1: from 1/1.1 to 1.1, uniform in the logarithm).
        shift: Largest shift along each axis, in units.
        without_normals: Share of the hearts whose normals are withheld from the encoder.
    """

    rotation_deg: Angle = 10.0
    scale: Share = 0.1
    shift: Share = 0.05
    without_normals: Share = 0.2


@dataclass(frozen=True, slots=True)
class Augmentation:
    """A transform of a heart in its frame: rotate, then scale, then shift.

    Attributes:
        rotation: ``[3, 3]`` float32 rotation about the frame's origin.
        scale: Factor of its size.
        shift: Translation along each axis, in units.
        normals: Whether the encoder receives its normals.
    """

    rotation: Float[np.ndarray, "3 3"]
    scale: float
    shift: tuple[float, float, float]
    normals: bool

    def from_mm(self, frame: Frame) -> "FromMm":
        """The map from RAS+ mm to augmented positions in units.

        Frame and augmentation are combined, because each pass over the points of a batch takes as
        long as reading them.
        """
        # With points as rows, (x − c)·M + t = x·M + (t − c·M), where M = Rᵀ · scale / mm_per_unit.
        # R turns as the frame does, and then as the augmentation does.
        turn = self.rotation
        if frame.is_turned:
            turn = (self.rotation @ frame.matrix).astype(np.float32)
        factor = frame.length_to_unit(self.scale)
        matrix = factor * turn.T
        return FromMm(matrix, self.shift - frame.center_mm @ matrix, factor, turn.T)


class FromMm(NamedTuple):
    """A map of points ``[N, 3]`` from RAS+ mm to units: ``points_mm @ matrix + offset``.

    Attributes:
        matrix: Rotates and scales.
        offset: Is added.
        factor: The factor by which lengths change.
        rotation: Rotates directions: ``directions @ rotation``.
    """

    matrix: Float[np.ndarray, "3 3"]
    offset: Float[np.ndarray, "3"]
    factor: float
    rotation: Float[np.ndarray, "3 3"]


IDENTITY = Augmentation(np.eye(3, dtype=np.float32), 1.0, (0.0, 0.0, 0.0), True)
"""Leaves a heart as it lies in its frame."""


def random_augmentation(spec: AugmentSpec, generator: np.random.Generator) -> Augmentation:
    """Draw a rotation, a scale, a shift and whether normals are withheld."""
    # Always the same number of draws, so that a changed range leaves the other values as they are.
    axis = generator.standard_normal(3).tolist()
    angle, size, x, y, z, hide = generator.random(6).tolist()
    return Augmentation(
        rotation_about(axis, math.radians(spec.rotation_deg) * (2 * angle - 1)),
        (1 + spec.scale) ** (2 * size - 1),  # growing and shrinking are equally likely
        (spec.shift * (2 * x - 1), spec.shift * (2 * y - 1), spec.shift * (2 * z - 1)),
        hide >= spec.without_normals,
    )


def rotation_about(axis: Sequence[float], angle: float) -> Float[np.ndarray, "3 3"]:
    """Rotation about an axis of any length by an angle in radians (Rodrigues' formula), float32.

    Written in plain numbers, which are faster than arrays of three.
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
