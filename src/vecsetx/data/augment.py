"""Showing hearts a little otherwise every time.

They are moved, so that the model does not lean on the frame, and never mirrored. Some are shown
without normals, so that the model can do without where none are known, as for labelled points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vecsetx.data.batch import Batch


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


def augment(batch: Batch, spec: AugmentSpec, generators: Sequence[np.random.Generator]) -> Batch:
    """Move each heart of a batch by its own random rotation, scale and shift; hide normals.

    Args:
        batch: The hearts.
        spec: How far they are moved.
        generators: For each heart the source of its numbers.
    """
    axis = np.stack([generator.standard_normal(3) for generator in generators])
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    numbers = np.stack([generator.random(6) for generator in generators])
    angle, size, *shift = (2 * numbers[:, :5] - 1).T
    rotation = rotation_about(axis, math.radians(spec.rotation_deg) * angle)
    scale = np.exp(math.log1p(spec.scale) * size)
    shown = numbers[:, 5] >= spec.without_normals
    return moved(batch, rotation, scale, spec.shift * np.stack(shift, axis=-1), shown)


def moved(
    batch: Batch,
    rotation: Float[np.ndarray, "b 3 3"],
    scale: Float[np.ndarray, " b"],
    shift: Float[np.ndarray, "b 3"],
    shown: Bool[np.ndarray, " b"],
) -> Batch:
    """Every heart turned and scaled about the origin, then shifted; distances follow.

    Args:
        batch: The hearts.
        rotation: How each is turned.
        scale: By how much each is then made larger.
        shift: How far each is then shifted, in units.
        shown: Whether its normals are shown.
    """
    turn = rotation.mT.astype(np.float32)
    stretch = torch.from_numpy(scale.astype(np.float32))[:, None, None]
    turn_and_stretch, by = scale.astype(np.float32)[:, None, None] * turn, shift.astype(np.float32)

    # NumPy multiplies long arrays of width 3 several times faster than PyTorch, and adds them
    # faster column by column.
    def turned(vectors: Tensor, by_matrix: np.ndarray) -> Tensor:
        return torch.from_numpy(vectors.numpy() @ by_matrix)

    def placed(points: Tensor) -> Tensor:
        there = turned(points, turn_and_stretch).numpy()
        for axis in range(3):
            there[..., axis] += by[:, axis, None]
        return torch.from_numpy(there)

    return replace(
        batch,
        points=placed(batch.points),
        normals=turned(batch.normals, turn * shown[:, None, None]),
        surface=placed(batch.surface),
        surface_distances=stretch * batch.surface_distances,
        surface_known=stretch * batch.surface_known,
        near=placed(batch.near),
        near_distances=stretch * batch.near_distances,
        near_known=stretch * batch.near_known,
        volume=placed(batch.volume),
        volume_distances=stretch * batch.volume_distances,
        volume_known=stretch * batch.volume_known,
        surface_normals=turned(batch.surface_normals, turn),
    )


def rotation_about(
    axis: Float[np.ndarray, "b 3"], angle: Float[np.ndarray, " b"]
) -> Float[np.ndarray, "b 3 3"]:
    """Rotation matrices about unit axes by angles in radians (Rodrigues' formula)."""
    x, y, z = axis.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    sine, versine = np.sin(angle)[:, None, None], (1 - np.cos(angle))[:, None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)
