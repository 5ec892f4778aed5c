"""The training objective: the loss and its terms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from vecsetx.anatomy.sign import inside
from vecsetx.data.batch import QUERY_GROUPS, Batch, Queries
from vecsetx.errors import InputError
from vecsetx.model.gradient import spatial_gradients
from vecsetx.model.heads import Head
from vecsetx.model.vecset import LatentSet, VecSetAutoEncoder
from vecsetx.ranges import Distance, Factor, Points, Weight

__all__ = [
    "ObjectiveSpec",
    "distance_error",
    "eikonal_error",
    "gradient_norms",
    "inside_error",
    "latent_objective",
    "loss_masks",
    "normal_error",
    "objective",
]


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """Weights of the loss terms. A term of weight 0 is left out and costs nothing.

    Attributes:
        near, volume, surface: Weights of the distance errors at each group of query points.
        inside: Weight of each structure's inside/outside error at near and volume points.
        eikonal: Weight of the squared deviation of the distances' gradients from length 1.
        normal: Weight of the angle between gradients at surface points and the normals there.
        kl: Weight of the bottleneck's penalty, if it has one.
        inferred: Factor of the errors of structures of which the encoder receives no point. They
            cannot be predicted as exactly as observed ones, so that much of their error is noise.
            A teacher's distances count in full, because they are inferred from the same points;
            so do the union's distance and the normals.
        truncation: Distances beyond this, in units, need only be predicted to be at least as far.
        sharpness: Logits of being inside per unit of distance.
        gradient_points: Query points per heart at which gradients are computed, a third of each
            group.
        gradient_within: Gradients count only nearer than this, in units, to a structure's surface.
            Farther away two parts of the surface may be equally near, and the true distance has no
            gradient there.
    """

    near: Weight = 10.0
    volume: Weight = 10.0
    surface: Weight = 10.0
    inside: Weight = 0.5
    eikonal: Weight = 0.0
    normal: Weight = 0.0
    kl: Weight = 0.001
    inferred: Weight = 1.0
    truncation: Distance = 0.1
    sharpness: Factor = 40.0
    gradient_points: Points = 192
    gradient_within: Distance = 0.02

    def __post_init__(self) -> None:
        if not (self.near or self.volume or self.surface or self.inside):
            raise InputError(
                "objective.near, .volume, .surface and .inside are all 0, so that no shape would "
                "be learned; give one of them a weight"
            )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term, by its name."""
        return {
            "surface": self.surface,
            "near": self.near,
            "volume": self.volume,
            "inside": self.inside,
            "eikonal": self.eikonal,
            "normal": self.normal,
            "kl": self.kl,
        }


def objective(
    model: VecSetAutoEncoder,
    batch: Batch,
    spec: ObjectiveSpec,
    counts: Mapping[str, Int[Tensor, ""]] | None = None,
    anchors: Int[Tensor, "b m"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss of a batch and its weighted terms, which add up to it.

    Distances carry loss where they are known, and so do signs: neither structures that a heart's
    data set does not annotate, nor points beyond the edge of a scan that cuts a structure, do.

    Args:
        model: In training or evaluation mode.
        batch: Hearts.
        spec: Weights of the terms.
        counts: Divisor of each term's sum of errors. None: the number of entries of this batch that
            carry loss (the sums of :func:`loss_masks`), so that every term is a mean. For a part of
            a larger batch, pass the counts of the whole.
        anchors: Indices of the encoder's anchors among the points; None: the model chooses them.
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
    """:func:`objective` of given latent sets; of the batch only the queries are used."""
    masks = loss_masks(model.head, batch, spec, model.spec.bottleneck == "kl")
    if counts is None:
        counts = {name: mask.sum() for name, mask in masks.items()}
    tokens = model.process(latent_set)
    queries = batch.queries
    # 1. Decode all groups of query points in one pass.
    outputs = model.head_output(
        tokens,
        latent_set.positions,
        torch.cat([group.points for group in queries.values()], dim=1),
    )
    output = dict(
        zip(queries, outputs.split([group.count for group in queries.values()], 1), strict=True)
    )
    # 2. The errors of each active term, one per entry of its mask.
    errors: dict[str, Tensor] = {}
    for name, group in queries.items():
        if name in masks:
            targets = model.head.targets(group.distances)
            errors[name] = distance_error(model.head.fields(output[name]), targets, spec.truncation)
    if "inside" in masks:
        logits = torch.cat([output["near"], output["volume"]], dim=1)
        logits = model.head.inside_logits(logits, spec.sharpness)
        errors["inside"] = inside_error(
            logits, torch.cat([batch.near.distances, batch.volume.distances], dim=1)
        )
    if "kl" in masks:
        errors["kl"] = latent_set.penalty
    if masks.keys() & {"eikonal", "normal"}:
        errors |= _gradient_errors(model, tokens, latent_set.positions, batch, spec)
    if spec.inferred != 1:
        errors = _weight_inferred(errors, batch, spec.inferred)
    # 3. The weighted terms. A batch may have no entry of a term, hence the clamp.
    weights = spec.weights
    terms = {
        name: weights[name] * torch.where(mask, errors[name], 0).sum() / counts[name].clamp(1)
        for name, mask in masks.items()
    }
    return torch.stack(list(terms.values())).sum(), terms


def loss_masks(
    head: Head, batch: Batch, spec: ObjectiveSpec, has_penalty: bool
) -> dict[str, Bool[Tensor, "..."]]:
    """Which entries of each term's errors carry loss: a boolean tensor for every active term.

    Args:
        head: The model's.
        batch: Hearts.
        spec: Weights of the terms.
        has_penalty: Whether the model's bottleneck has a penalty.
    """
    masks: dict[str, Bool[Tensor, ...]] = {}
    for name, group in batch.queries.items():
        if spec.weights[name]:
            # A truncated distance need only be known up to the truncation.
            targets = head.targets(group.distances)
            masks[name] = targets.abs().clamp(max=spec.truncation) <= head.targets(group.known)
    if spec.inside:
        # The sign is known wherever the scan shows the point.
        masks["inside"] = torch.cat([batch.near.known, batch.volume.known], dim=1) > 0
    if spec.eikonal or spec.normal:
        groups = _gradient_queries(batch, spec)
        distances = torch.cat([group.distances for group in groups], dim=1)
        known = torch.cat([group.known for group in groups], dim=1)
        trusted = head.targets(distances).abs() <= head.targets(known)
        smooth = head.differentiable(distances, spec.gradient_within) & trusted
        if spec.eikonal:
            masks["eikonal"] = smooth
        if spec.normal:
            # Each surface point has the normal of one structure: only this one's entry counts.
            own = head.field_index(batch.surface.structure[:, : _gradient_count(spec)])
            masks["normal"] = smooth[:, : own.shape[1]].gather(2, own[..., None])[..., 0]
    if spec.kl and has_penalty:
        masks["kl"] = torch.ones(len(batch.points), dtype=torch.bool, device=batch.points.device)
    return masks


def distance_error(
    predicted: Float[Tensor, "b q d"], truth: Float[Tensor, "b q d"], truncation: float
) -> Float[Tensor, "b q d"]:
    """Absolute errors of distances that lie within the truncation, in units.

    Where the true distance is beyond it, the error is the amount by which the prediction falls
    short of the truncation on the true side.
    """
    # Beyond the truncation, a prediction that is farther on the true side has no error.
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
    """Norm of each term's own gradient over all weights, to see which terms drive the training.

    The graph is retained for the backward pass of their sum.
    """
    weights = [parameter for parameter in parameters if parameter.requires_grad]
    norms = {}
    for name, term in terms.items():
        # allow_unused: a term need not depend on all weights.
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
    """Errors of the gradients' lengths and, on surfaces, of their directions."""
    points = torch.cat([group.points for group in _gradient_queries(batch, spec)], dim=1)
    gradients = spatial_gradients(
        lambda chunk: model.head.fields(model.head_output(tokens, positions, chunk, unfused=True)),
        points,
    )
    errors = {}
    if spec.eikonal:
        errors["eikonal"] = eikonal_error(gradients)
    if spec.normal:
        count = _gradient_count(spec)
        normals = batch.surface.normals[:, :count]
        own = model.head.field_index(batch.surface.structure[:, :count])[..., None, None]
        on_surface = gradients[:, : normals.shape[1]]  # surface points come first
        # The gradient of the distance to each point's own structure.
        own_gradients = on_surface.gather(2, own.expand(-1, -1, -1, 3))[:, :, 0]
        errors["normal"] = normal_error(own_gradients, normals)
    return errors


def _weight_inferred(
    errors: Mapping[str, Tensor], batch: Batch, weight: float
) -> dict[str, Tensor]:
    """Multiply the errors of structures that are neither observed nor taught by a weight."""
    structures = torch.arange(batch.near.distances.shape[-1], device=batch.structure.device)
    # Observed: at least one of the encoder's points lies on the structure, [B, K].
    observed = (batch.structure[..., None] == structures).any(dim=1)
    weights = torch.where(observed | batch.taught, 1.0, weight)[:, None]
    # Errors of the union's distance have one column, not K, and keep their weight.
    by_structure = (*QUERY_GROUPS, "inside", "eikonal")
    return {
        name: error * weights
        if name in by_structure and error.shape[-1] == len(structures)
        else error
        for name, error in errors.items()
    }


def _gradient_queries(batch: Batch, spec: ObjectiveSpec) -> list[Queries]:
    """The query points at which gradients are computed; surface points first."""
    groups = list(batch.queries.values()) if spec.eikonal else [batch.surface]
    return [group.select(slice(_gradient_count(spec))) for group in groups]


def _gradient_count(spec: ObjectiveSpec) -> int:
    """Query points of each group at which gradients are computed."""
    return -(-spec.gradient_points // len(QUERY_GROUPS))  # rounded up
