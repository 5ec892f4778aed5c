"""What is asked of the model: the loss and its terms."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch.nn import functional

from vecsetx.anatomy.sign import inside, inside_logit
from vecsetx.data.batch import Batch
from vecsetx.errors import InputError
from vecsetx.model.vecset import VecSetAutoEncoder


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """Weights of the loss. A weight of 0 leaves a term out.

    Attributes:
        near, volume, surface: Weights of the distance errors on each kind of query point.
        inside: Weight of the inside/outside error on near and volume points.
        truncation: Distances beyond this many units are only asked to be at least as far.
        sharpness: Logits of being inside per unit of distance. Without this term a thin structure
            would never be learned: its median answer is "outside".
    """

    near: NonNegativeFloat = 10.0
    volume: NonNegativeFloat = 10.0
    surface: NonNegativeFloat = 10.0
    inside: NonNegativeFloat = 0.5
    truncation: PositiveFloat = 0.1
    sharpness: PositiveFloat = 40.0

    def __post_init__(self) -> None:
        if not (self.near or self.volume or self.surface or self.inside):
            raise InputError("every weight of the objective is 0; nothing would be learned")


def objective(
    model: VecSetAutoEncoder, batch: Batch, spec: ObjectiveSpec
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch and its weighted terms, which add up to it.

    Distances carry a loss where they are known, and signs where they are: not for structures that a
    heart's data set does not annotate, nor beyond the edge of a scan that cuts them.
    """
    queries = torch.cat([batch.surface, batch.near, batch.volume], dim=1)
    predicted = model(batch.points, batch.structure, batch.anchors, queries)
    surface, near, volume = predicted.split(
        [batch.surface.shape[1], batch.near.shape[1], batch.volume.shape[1]], dim=1
    )
    terms: dict[str, Tensor] = {}
    for name, weight, distances, truth, known in (
        ("surface", spec.surface, surface, batch.surface_distances, batch.surface_known),
        ("near", spec.near, near, batch.near_distances, batch.near_known),
        ("volume", spec.volume, volume, batch.volume_distances, batch.volume_known),
    ):
        if weight:
            terms[name] = weight * distance_error(distances, truth, known, spec.truncation)
    if spec.inside:
        off_surface = torch.cat([near, volume], dim=1)
        truth = torch.cat([batch.near_distances, batch.volume_distances], dim=1)
        known = torch.cat([batch.near_known, batch.volume_known], dim=1)
        terms["inside"] = spec.inside * inside_error(off_surface, truth, known, spec.sharpness)
    return torch.stack(list(terms.values())).sum(), terms


def distance_error(
    predicted: Float[Tensor, "b q k"],
    truth: Float[Tensor, "b q k"],
    known: Float[Tensor, "b q k"],
    truncation: float,
) -> Float[Tensor, ""]:
    """Mean absolute error of distances within the truncation (units), where they are known.

    Beyond it the error is how far the prediction falls short of the truncation, on the right side.
    """
    error = predicted - truth.clamp(-truncation, truncation)
    beyond_outside = truth > truncation
    beyond_inside = truth < -truncation
    error = torch.where(beyond_outside, error.clamp(max=0), error)
    error = torch.where(beyond_inside, error.clamp(min=0), error)
    return _mean_where(error.abs(), truth.abs().clamp(max=truncation) <= known)


def inside_error(
    predicted: Float[Tensor, "b q k"],
    truth: Float[Tensor, "b q k"],
    known: Float[Tensor, "b q k"],
    sharpness: float,
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of being inside, where the sign is known."""
    error = functional.binary_cross_entropy_with_logits(
        inside_logit(predicted, sharpness), inside(truth).to(predicted.dtype), reduction="none"
    )
    return _mean_where(error, known > 0)


def _mean_where(values: Tensor, asked: Tensor) -> Tensor:
    weight = asked.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp(min=1)
