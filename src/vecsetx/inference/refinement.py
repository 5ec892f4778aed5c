"""Refine a heart's latent set on its observed structures; the model's weights stay fixed.

The decoder is differentiable, so the latent set can be optimised on the training loss, as DeepSDF
finds its codes (Park et al., CVPR 2019); here the encoder supplies the initial values.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.optim.adam import adam

from vecsetx.data.batch import Batch, Queries
from vecsetx.model.heart_field import HeartField, RefinementResult
from vecsetx.model.vecset import LatentSet
from vecsetx.progress import counted_parts
from vecsetx.training.objective import ObjectiveSpec, latent_objective

__all__ = ["RefinementSpec", "refine"]

_QueriesT = TypeVar("_QueriesT", bound=Queries)


@dataclass(frozen=True, slots=True)
class RefinementSpec:
    """How a latent set is refined.

    Attributes:
        steps: Largest number of steps.
        points: Largest number of query points of each group per step.
        rate: Learning rate of Adam (Kingma and Ba, arXiv 1412.6980), relative to the standard
            deviation of the latents.
        held_out: Share of the observed points held out for early stopping.
        every: Steps between evaluations of the loss at the held-out points.
        patience: Evaluations in a row without improvement after which refinement stops.
        least_gain: Smallest relative decrease of that loss that counts as improvement.
        seed: Seed of the choice of points.
    """

    steps: PositiveInt = 150
    points: PositiveInt = 512
    rate: PositiveFloat = 0.06
    held_out: PositiveFloat = 0.1
    every: PositiveInt = 10
    patience: PositiveInt = 3
    least_gain: PositiveFloat = 0.005
    seed: int = 0


def refine(
    field: HeartField, observed: Batch, objective: ObjectiveSpec, spec: RefinementSpec
) -> HeartField:
    """Refine a heart's latent set.

    Args:
        field: The encoded heart; its model in evaluation mode.
        observed: A batch of this heart: its query points, with their known distances.
        objective: The loss.
        spec: How to refine it.

    Returns:
        The heart with the latent set of the lowest loss at the held-out points; its
        ``refinement`` holds the loss before and after.
    """
    model, start = field.model, field.latent_set
    generator = torch.Generator().manual_seed(spec.seed)
    device = start.latents.device
    # 1. Hold out some points, to notice when the latent set starts to fit the others too closely.
    training, held_out = _held_out(observed, spec.held_out, generator)
    held_out = held_out.to(device)
    latents = start.latents.clone().requires_grad_()
    optimizer = _Adam(latents, spec.rate * float(start.latents.std()))

    def loss(batch: Batch) -> Tensor:
        return latent_objective(model, replace(start, latents=latents), batch, objective)[0]

    # 2. Optimise; keep the latents of the lowest loss at the held-out points.
    with torch.no_grad():
        before = best = float(loss(held_out))
    kept, kept_step, stale = start.latents, 0, 0
    for step in counted_parts(range(1, spec.steps + 1), "refining"):
        batch = _random_points(training, spec.points, generator).to(device)
        # The gradient of the latents only: the weights need none.
        (gradient,) = torch.autograd.grad(loss(batch), [latents])
        optimizer.step(gradient)
        if step % spec.every and step < spec.steps:  # also evaluate after the last step
            continue
        with torch.no_grad():
            now = float(loss(held_out))
        # Small gains are kept, too, but do not reset the patience.
        stale = 0 if now < (1 - spec.least_gain) * best else stale + 1
        if now < best:
            best, kept, kept_step = now, latents.detach().clone(), step
        if stale >= spec.patience:
            break
    # 3. The tokens of the refined latents, which the decoder needs.
    latent_set = replace(start, latents=kept)
    with torch.no_grad():
        tokens = model.process(latent_set)
    errors_mm = (_error_mm(field, latents, held_out) for latents in (start, latent_set))
    refinement = RefinementResult(before, best, kept_step, *errors_mm)
    return replace(field, latent_set=latent_set, tokens=tokens, refinement=refinement)


class _Adam:
    """Adam with PyTorch's defaults, for one tensor.

    It calls the function behind ``torch.optim.Adam``, because the class imports PyTorch's compiler,
    which takes every process two seconds.

    Args:
        parameter: The tensor, which each step changes in place.
        rate: Learning rate.
    """

    def __init__(self, parameter: Tensor, rate: float) -> None:
        self._parameter, self._rate = parameter, rate
        self._mean = torch.zeros_like(parameter, requires_grad=False)
        self._mean_square = torch.zeros_like(parameter, requires_grad=False)
        self._steps = torch.zeros(())

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """Move the tensor against a gradient of its shape."""
        adam(
            [self._parameter],
            [gradient],
            exp_avgs=[self._mean],
            exp_avg_sqs=[self._mean_square],
            max_exp_avg_sqs=[],
            state_steps=[self._steps],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


@torch.no_grad()
def _error_mm(field: HeartField, latent_set: LatentSet, batch: Batch) -> float | None:
    """Return the mean distance from the surface points to their structure's reconstruction."""
    surface = batch.surface
    if not surface.count:
        return None
    distances = field.model.decode(latent_set, surface.points)
    own = distances.gather(2, surface.structure[..., None])
    return float(field.frame.length_to_mm(own.abs().mean()))


def _held_out(batch: Batch, share: float, generator: torch.Generator) -> tuple[Batch, Batch]:
    """Split each group's query points at random into those to train on and a held-out share."""

    def split(queries: _QueriesT) -> tuple[_QueriesT, _QueriesT]:
        order = torch.randperm(queries.count, generator=generator)
        cut = round(share * queries.count)
        return queries.select(order[cut:]), queries.select(order[:cut])

    surface, near, volume = split(batch.surface), split(batch.near), split(batch.volume)
    training, held_out = (
        replace(batch, surface=surface[part], near=near[part], volume=volume[part])
        for part in range(2)
    )
    return training, held_out


def _random_points(batch: Batch, count: int, generator: torch.Generator) -> Batch:
    """At most ``count`` random query points of each group."""

    def some(queries: _QueriesT) -> _QueriesT:
        return queries.select(torch.randperm(queries.count, generator=generator)[:count])

    return replace(
        batch, surface=some(batch.surface), near=some(batch.near), volume=some(batch.volume)
    )
