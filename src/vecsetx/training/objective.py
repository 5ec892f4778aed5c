"""What is asked of the model: the loss and its terms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from vecsetx.anatomy.sign import inside
from vecsetx.data.batch import Batch
from vecsetx.errors import InputError
from vecsetx.model.gradient import spatial_gradients
from vecsetx.model.vecset import VecSetAutoEncoder

QUERY_GROUPS = ("surface", "near", "volume")


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """Weights of the loss. A weight of 0 leaves a term out, and costs nothing.

    Attributes:
        near, volume, surface: Weights of the distance errors on each kind of query point.
        inside: Weight of the inside/outside error of each structure on near and volume points.
        eikonal: Weight of the square of how far the length of a distance's gradient is from 1.
        normal: Weight of how far gradients at surface points are from the normals there.
        kl: Weight of the penalty of a bottleneck that has one.
        truncation: Distances beyond this many units are only asked to be at least as far.
        sharpness: Logits of being inside per unit of distance. Without this term a thin structure
            would never be learned: its median answer is "outside".
        gradient_points: Query points of each heart at which gradients are looked at, a third of
            each kind.
        gradient_within: Gradients are asked for nearer than this many units to a structure's
            surface. Farther away there may be places as near to two parts of it, where the true
            distance has no gradient.
    """

    near: NonNegativeFloat = 10.0
    volume: NonNegativeFloat = 10.0
    surface: NonNegativeFloat = 10.0
    inside: NonNegativeFloat = 0.5
    eikonal: NonNegativeFloat = 0.0
    normal: NonNegativeFloat = 0.0
    kl: NonNegativeFloat = 0.001
    truncation: PositiveFloat = 0.1
    sharpness: PositiveFloat = 40.0
    gradient_points: PositiveInt = 192
    gradient_within: PositiveFloat = 0.02

    def __post_init__(self) -> None:
        if not (self.near or self.volume or self.surface or self.inside):
            raise InputError(
                "the objective's weights near, volume, surface and inside are all 0; no shape "
                "would be learned"
            )


def objective(
    model: VecSetAutoEncoder, batch: Batch, spec: ObjectiveSpec
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss of a batch and its weighted terms, which add up to it.

    Distances carry a loss where they are known, and signs where they are: not for structures that a
    heart's data set does not annotate, nor beyond the edge of a scan that cuts them.
    """
    normals = batch.normals if model.spec.normals else None
    latent_set = model.encode(batch.points, batch.structure, batch.anchors, normals)
    tokens = model.refine(latent_set)
    queries = [getattr(batch, group) for group in QUERY_GROUPS]
    answers = model.answer(tokens, latent_set.positions, torch.cat(queries, dim=1))
    surface, near, volume = answers.split([points.shape[1] for points in queries], dim=1)
    terms: dict[str, Tensor] = {}
    for group, weight, answer in (
        ("surface", spec.surface, surface),
        ("near", spec.near, near),
        ("volume", spec.volume, volume),
    ):
        if weight:
            truth, known = (model.head.truth(values) for values in _asked(batch, group))
            fields = model.head.fields(answer)
            terms[group] = weight * distance_error(fields, truth, known, spec.truncation)
    if spec.inside:
        logits = model.head.inside_logits(torch.cat([near, volume], dim=1), spec.sharpness)
        truth = torch.cat([batch.near_distances, batch.volume_distances], dim=1)
        known = torch.cat([batch.near_known, batch.volume_known], dim=1)
        terms["inside"] = spec.inside * inside_error(logits, truth, known)
    if spec.eikonal or spec.normal:
        terms |= _gradient_terms(model, tokens, latent_set.positions, batch, spec)
    if spec.kl and model.spec.bottleneck == "kl":
        terms["kl"] = spec.kl * latent_set.penalty.mean()
    return torch.stack(list(terms.values())).sum(), terms


def distance_error(
    predicted: Float[Tensor, "b q d"],
    truth: Float[Tensor, "b q d"],
    known: Float[Tensor, "b q d"],
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
    logits: Float[Tensor, "b q k"], truth: Float[Tensor, "b q k"], known: Float[Tensor, "b q k"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of being inside, where the sign is known."""
    error = functional.binary_cross_entropy_with_logits(
        logits, inside(truth).to(logits.dtype), reduction="none"
    )
    return _mean_where(error, known > 0)


def eikonal_error(
    gradients: Float[Tensor, "b q d 3"], asked: Bool[Tensor, "b q d"]
) -> Float[Tensor, ""]:
    """Mean of ``(|∇f| − 1)²`` where it is asked for (Gropp et al., arXiv 2002.10099, eq. 2)."""
    return _mean_where((gradients.norm(dim=-1) - 1).square(), asked)


def normal_error(
    gradients: Float[Tensor, "b q 3"], normals: Float[Tensor, "b q 3"], asked: Bool[Tensor, "b q"]
) -> Float[Tensor, ""]:
    """Mean of ``1 − cos`` of the angle between gradients and outward normals, where asked for."""
    return _mean_where(1 - functional.cosine_similarity(gradients, normals, dim=-1), asked)


def gradient_norms(
    terms: Mapping[str, Float[Tensor, ""]], parameters: Iterable[nn.Parameter]
) -> dict[str, float]:
    """Length of each term's own gradient by all weights: which terms pull, and which are dead.

    The graph is kept, for the backward pass of their sum.
    """
    weights = [parameter for parameter in parameters if parameter.requires_grad]
    norms = {}
    for name, term in terms.items():
        found = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
        squares = [gradient.float().square().sum() for gradient in found if gradient is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt())
    return norms


def _gradient_terms(
    model: VecSetAutoEncoder,
    tokens: Tensor,
    positions: Tensor | None,
    batch: Batch,
    spec: ObjectiveSpec,
) -> dict[str, Tensor]:
    """What is asked of the gradients: their length and, on surfaces, their direction."""
    share = -(-spec.gradient_points // len(QUERY_GROUPS))
    groups = QUERY_GROUPS if spec.eikonal else ("surface",)
    points = torch.cat([getattr(batch, group)[:, :share] for group in groups], dim=1)
    distances, known = (
        torch.cat([values[:, :share] for values in several], dim=1)
        for several in zip(*(_asked(batch, group) for group in groups), strict=True)
    )
    head = model.head
    gradients = spatial_gradients(
        lambda chunk: head.fields(model.answer(tokens, positions, chunk, plain=True)), points
    )
    asked = head.smooth(distances, spec.gradient_within)
    asked &= head.truth(distances).abs() <= head.truth(known)
    terms = {}
    if spec.eikonal:
        terms["eikonal"] = spec.eikonal * eikonal_error(gradients, asked)
    if spec.normal:
        normals = batch.surface_normals[:, :share]
        own = head.field_of(batch.surface_structure[:, :share])[..., None]
        on_surface = slice(normals.shape[1])
        towards = gradients[:, on_surface].gather(2, own[..., None].expand(-1, -1, -1, 3))[:, :, 0]
        asked_there = asked[:, on_surface].gather(2, own)[:, :, 0]
        terms["normal"] = spec.normal * normal_error(towards, normals, asked_there)
    return terms


def _asked(batch: Batch, group: str) -> tuple[Tensor, Tensor]:
    """True distances of a group of query points, and up to what size they are known."""
    return getattr(batch, f"{group}_distances"), getattr(batch, f"{group}_known")


def _mean_where(values: Tensor, asked: Tensor) -> Tensor:
    weight = asked.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp(min=1)
