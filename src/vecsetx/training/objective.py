"""What is asked of the model: the loss and its terms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from vecsetx.anatomy.sign import inside
from vecsetx.data.batch import QUERY_GROUPS, Batch
from vecsetx.errors import InputError
from vecsetx.model.gradient import spatial_gradients
from vecsetx.model.heads import Head
from vecsetx.model.vecset import LatentSet, VecSetAutoEncoder


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """Weights of the loss. A weight of 0 leaves a term out, and costs nothing.

    Attributes:
        near, volume, surface: Weights of the distance errors on each kind of query point.
        inside: Weight of the inside/outside error of each structure on near and volume points.
        eikonal: Weight of the square of how far the length of a distance's gradient is from 1.
        normal: Weight of how far gradients at surface points are from the normals there.
        kl: Weight of the penalty of a bottleneck that has one.
        inferred: What errors count of structures of which a heart shows no point, relative to those
            that it shows. They cannot be told as exactly, so that much of theirs is noise. What a
            teacher says counts in full, for it comes from what is shown; so do the union's
            distance, and normals.
        truncation: Distances beyond this many units are only asked to be at least as far.
        sharpness: Logits of being inside per unit of distance.
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
    inferred: NonNegativeFloat = 1.0
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
    model: VecSetAutoEncoder,
    batch: Batch,
    spec: ObjectiveSpec,
    counts: Mapping[str, Int[Tensor, ""]] | None = None,
    anchors: Int[Tensor, "b m"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss of a batch and its weighted terms, which add up to it.

    Distances carry a loss where they are known, and signs where they are: not for structures that a
    heart's data set does not annotate, nor beyond the edge of a scan that cuts them.

    Args:
        model: In training or evaluation mode.
        batch: Hearts.
        spec: What is asked.
        counts: What each term's sum is divided by, as of :func:`asked`. None: what the batch itself
            asks, so that every term is a mean. A part of a larger batch is given the whole's.
        anchors: The encoder's; None: those that the model chooses.
    """
    latent_set = model.encode(batch.points, batch.structure, anchors, batch.normals)
    return latent_objective(model, latent_set, batch, spec, counts)


def latent_objective(
    model: VecSetAutoEncoder,
    latent_set: LatentSet,
    batch: Batch,
    spec: ObjectiveSpec,
    counts: Mapping[str, Int[Tensor, ""]] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """:func:`objective` of latent sets that are there already; of the batch, the queries count."""
    masks = loss_masks(model.head, batch, spec, model.spec.bottleneck == "kl")
    if counts is None:
        counts = {name: mask.sum() for name, mask in masks.items()}
    tokens = model.process(latent_set)
    queries = [getattr(batch, group) for group in QUERY_GROUPS]
    answers = model.answer(tokens, latent_set.positions, torch.cat(queries, dim=1))
    answer = dict(zip(QUERY_GROUPS, answers.split([q.shape[1] for q in queries], 1), strict=True))
    errors: dict[str, Tensor] = {}
    for group in (name for name in QUERY_GROUPS if name in masks):
        truth = model.head.truth(getattr(batch, f"{group}_distances"))
        errors[group] = distance_error(model.head.fields(answer[group]), truth, spec.truncation)
    if "inside" in masks:
        logits = torch.cat([answer["near"], answer["volume"]], dim=1)
        logits = model.head.inside_logits(logits, spec.sharpness)
        errors["inside"] = inside_error(logits, _joined(batch, "distances", ("near", "volume")))
    if "kl" in masks:
        errors["kl"] = latent_set.penalty
    if masks.keys() & {"eikonal", "normal"}:
        errors |= _gradient_errors(model, tokens, latent_set.positions, batch, spec)
    if spec.inferred != 1:
        errors = _less_of_what_is_hidden(errors, batch, spec.inferred)
    terms = {
        name: getattr(spec, name) * torch.where(mask, errors[name], 0).sum() / counts[name].clamp(1)
        for name, mask in masks.items()
    }
    return torch.stack(list(terms.values())).sum(), terms


def loss_masks(
    head: Head, batch: Batch, spec: ObjectiveSpec, has_penalty: bool
) -> dict[str, Bool[Tensor, "..."]]:
    """Which entries of each term's errors carry loss: a boolean tensor for every term there is.

    Args:
        head: The model's.
        batch: Hearts.
        spec: What is asked.
        has_penalty: Whether the model's bottleneck has one.
    """
    masks: dict[str, Bool[Tensor, ...]] = {}
    for group in QUERY_GROUPS:
        if getattr(spec, group):
            truth = head.truth(getattr(batch, f"{group}_distances"))
            known = head.truth(getattr(batch, f"{group}_known"))
            masks[group] = truth.abs().clamp(max=spec.truncation) <= known
    if spec.inside:
        masks["inside"] = _joined(batch, "known", ("near", "volume")) > 0
    if spec.eikonal or spec.normal:
        distances, known = (
            _joined(batch, what, _gradient_groups(spec), _gradient_share(spec))
            for what in ("distances", "known")
        )
        trusted = head.truth(distances).abs() <= head.truth(known)
        smooth = head.smooth(distances, spec.gradient_within) & trusted
        if spec.eikonal:
            masks["eikonal"] = smooth
        if spec.normal:
            own = head.field_of(batch.surface_structure[:, : _gradient_share(spec)])
            masks["normal"] = smooth[:, : own.shape[1]].gather(2, own[..., None])[..., 0]
    if spec.kl and has_penalty:
        masks["kl"] = torch.ones(len(batch.points), dtype=torch.bool, device=batch.points.device)
    return masks


def distance_error(
    predicted: Float[Tensor, "b q d"], truth: Float[Tensor, "b q d"], truncation: float
) -> Float[Tensor, "b q d"]:
    """Absolute errors of distances within the truncation (units).

    Beyond it the error is how far the prediction falls short of the truncation, on the right side.
    """
    error = predicted - truth.clamp(-truncation, truncation)
    beyond_outside = truth > truncation
    beyond_inside = truth < -truncation
    error = torch.where(beyond_outside, error.clamp(max=0), error)
    error = torch.where(beyond_inside, error.clamp(min=0), error)
    return error.abs()


def inside_error(
    logits: Float[Tensor, "b q k"], truth: Float[Tensor, "b q k"]
) -> Float[Tensor, "b q k"]:
    """Binary cross-entropy of being inside, from logits and true distances."""
    return functional.binary_cross_entropy_with_logits(
        logits, inside(truth).to(logits.dtype), reduction="none"
    )


def eikonal_error(gradients: Float[Tensor, "b q d 3"]) -> Float[Tensor, "b q d"]:
    """``(|∇f| − 1)²`` (Gropp et al., arXiv 2002.10099, eq. 2)."""
    return (gradients.norm(dim=-1) - 1).square()


def normal_error(
    gradients: Float[Tensor, "b q 3"], normals: Float[Tensor, "b q 3"]
) -> Float[Tensor, "b q"]:
    """``1 − cos`` of the angle between gradients and outward normals."""
    return 1 - functional.cosine_similarity(gradients, normals, dim=-1)


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


def _gradient_errors(
    model: VecSetAutoEncoder,
    tokens: Tensor,
    positions: Tensor | None,
    batch: Batch,
    spec: ObjectiveSpec,
) -> dict[str, Tensor]:
    """Errors of the gradients: their length and, on surfaces, their direction."""
    share = _gradient_share(spec)
    points = torch.cat([getattr(batch, g)[:, :share] for g in _gradient_groups(spec)], dim=1)
    gradients = spatial_gradients(
        lambda chunk: model.head.fields(model.answer(tokens, positions, chunk, plain=True)), points
    )
    errors = {}
    if spec.eikonal:
        errors["eikonal"] = eikonal_error(gradients)
    if spec.normal:
        normals = batch.surface_normals[:, :share]
        own = model.head.field_of(batch.surface_structure[:, :share])[..., None, None]
        on_surface = gradients[:, : normals.shape[1]]  # the groups' first
        towards = on_surface.gather(2, own.expand(-1, -1, -1, 3))[:, :, 0]
        errors["normal"] = normal_error(towards, normals)
    return errors


def _less_of_what_is_hidden(
    errors: Mapping[str, Tensor], batch: Batch, weight: float
) -> dict[str, Tensor]:
    """Errors, weighted for structures of which the model is shown no point nor taught."""
    structures = torch.arange(batch.near_distances.shape[-1], device=batch.structure.device)
    shown = (batch.structure[..., None] == structures).any(dim=1)
    weights = torch.where(shown | batch.taught, 1.0, weight)[:, None]
    by_structure = (*QUERY_GROUPS, "inside", "eikonal")
    return {
        name: error * weights
        if name in by_structure and error.shape[-1] == len(structures)
        else error
        for name, error in errors.items()
    }


def _gradient_groups(spec: ObjectiveSpec) -> tuple[str, ...]:
    return QUERY_GROUPS if spec.eikonal else ("surface",)


def _gradient_share(spec: ObjectiveSpec) -> int:
    """Points of each kind whose gradients are looked at."""
    return -(-spec.gradient_points // len(QUERY_GROUPS))


def _joined(batch: Batch, what: str, groups: Iterable[str], first: int | None = None) -> Tensor:
    """``distances`` or ``known`` of several groups of query points, the first so many of each."""
    return torch.cat([getattr(batch, f"{group}_{what}")[:, :first] for group in groups], dim=1)
