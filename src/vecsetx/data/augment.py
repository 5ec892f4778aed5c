"""Showing hearts a little otherwise every time.

They are moved, so that the model does not lean on the frame, and never mirrored. Some are shown
without normals, so that the model can do without where none are known, as for labelled points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.data.rows import Rows


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


def augment(
    rows: Rows, shown: int, spec: AugmentSpec, generators: Sequence[np.random.Generator]
) -> None:
    """Move each heart in place by its own random rotation, scale and shift; hide normals.

    Args:
        rows: The hearts.
        shown: How many of their points are the model's input.
        spec: How far they are moved.
        generators: For each heart the source of its numbers.
    """
    axis = np.stack([generator.standard_normal(3) for generator in generators])
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    numbers = np.stack([generator.random(6) for generator in generators])
    angle, size, *shift = (2 * numbers[:, :5] - 1).T
    rotation = rotation_about(axis, math.radians(spec.rotation_deg) * angle)
    scale = np.exp(math.log1p(spec.scale) * size)
    move(rows, rotation, scale, spec.shift * np.stack(shift, axis=-1))
    rows.normals[numbers[:, 5] < spec.without_normals, :shown] = 0


def move(
    rows: Rows,
    rotation: Float[np.ndarray, "b 3 3"],
    scale: Float[np.ndarray, " b"],
    shift: Float[np.ndarray, "b 3"],
) -> None:
    """Turn and scale every heart about the origin, then shift it, in place; distances follow.

    In place, because new memory of this size costs more than the arithmetic.

    Args:
        rows: The hearts.
        rotation: How each is turned.
        scale: By how much each is then made larger.
        shift: How far each is then shifted, in units.
    """
    turn = rotation.mT.astype(np.float32)
    stretch, by = scale.astype(np.float32)[:, None, None], shift.astype(np.float32)
    for heart, (points, normals) in enumerate(zip(rows.points, rows.normals, strict=True)):
        points[:] = points @ (stretch[heart] * turn[heart])
        normals[:] = normals @ turn[heart]
    for axis in range(3):  # faster than adding rows of three
        rows.points[..., axis] += by[:, axis, None]
    rows.distances[:] *= stretch
    rows.known[:] *= stretch


def rotation_about(
    axis: Float[np.ndarray, "b 3"], angle: Float[np.ndarray, " b"]
) -> Float[np.ndarray, "b 3 3"]:
    """Rotation matrices about unit axes by angles in radians (Rodrigues' formula)."""
    x, y, z = axis.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    sine, versine = np.sin(angle)[:, None, None], (1 - np.cos(angle))[:, None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)
