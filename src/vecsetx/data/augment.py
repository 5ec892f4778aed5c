"""Showing hearts a little otherwise every time.

They are moved, so that the model does not lean on the frame, and never mirrored. Some are shown
without normals, so that the model can do without where none are known, as for labelled points.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
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


def augment(batch: Batch, spec: AugmentSpec, generator: torch.Generator) -> Batch:
    """Move each heart of a batch by its own random rotation, scale and shift; hide normals."""
    count = len(batch.points)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    axis = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    rotation = rotation_about(axis, math.radians(spec.rotation_deg) * uniform(count))
    scale = torch.exp(math.log1p(spec.scale) * uniform(count))
    moved = batch.moved(rotation, scale, spec.shift * uniform(count, 3))
    hidden = torch.rand(count, generator=generator) < spec.without_normals
    return replace(moved, normals=moved.normals.masked_fill(hidden[:, None, None], 0))


def rotation_about(
    axis: Float[Tensor, "b 3"], angle: Float[Tensor, " b"]
) -> Float[Tensor, "b 3 3"]:
    """Rotation matrices about unit axes by angles in radians, as matrix exponentials."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(angle[:, None, None] * cross)
