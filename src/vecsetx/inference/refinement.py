"""Improving one heart's latent set on what is observed of it, with the model's weights as they are.

The decoder is differentiable, so a latent set can descend the loss that the model was trained with
(as the codes of DeepSDF, Park et al., CVPR 2019, are found; here from the encoder's guess on).
"""

from dataclasses import dataclass, fields, replace

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from vecsetx.data.batch import QUERY_GROUPS, Batch
from vecsetx.model.heart_field import HeartField, RefinementResult
from vecsetx.training.objective import ObjectiveSpec, latent_objective


@dataclass(frozen=True, slots=True)
class RefinementSpec:
    """How a latent set is improved.

    Attributes:
        steps: Steps at most.
        points: Query points of each kind that a step looks at.
        rate: Learning rate of Adam (Kingma and Ba, arXiv 1412.6980), relative to the latents' size.
        held_out: Share of the observed points that is kept aside, to tell when to stop.
        every: Steps between looks at them.
        patience: Looks without a gain after which it ends.
        least_gain: Relative fall of the loss that counts as one.
        seed: Seed of the points' choice.
    """

    steps: PositiveInt = 150
    points: PositiveInt = 2048
    rate: PositiveFloat = 0.03
    held_out: PositiveFloat = 0.2
    every: PositiveInt = 10
    patience: PositiveInt = 3
    least_gain: PositiveFloat = 0.005
    seed: int = 0


def refine(
    field: HeartField, observed: Batch, objective: ObjectiveSpec, spec: RefinementSpec
) -> HeartField:
    """Improve a heart's latent set.

    Args:
        field: The heart as encoded; its model in evaluation mode.
        observed: One heart: query points with what is known of their distances.
        objective: What is asked of the latent set.
        spec: How far to go.

    Returns:
        The heart with the best latent set that was seen, as judged at points that were kept aside;
        ``refinement`` tells by how much it is better.
    """
    model, start = field.model, field.latent_set
    generator = torch.Generator().manual_seed(spec.seed)
    device = start.latents.device
    shown, aside = _apart(observed, spec.held_out, generator)
    aside = aside.to(device)
    latents = start.latents.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=spec.rate * float(start.latents.std()))

    def loss(batch: Batch) -> Tensor:
        return latent_objective(model, replace(start, latents=latents), batch, objective)[0]

    with torch.no_grad():
        before = best = float(loss(aside))
    kept, kept_step, stale = start.latents, 0, 0
    for step in range(1, spec.steps + 1):
        batch = _some(shown, spec.points, generator).to(device)
        (latents.grad,) = torch.autograd.grad(loss(batch), [latents])
        optimizer.step()
        if step % spec.every and step < spec.steps:
            continue
        with torch.no_grad():
            now = float(loss(aside))
        stale = 0 if now < (1 - spec.least_gain) * best else stale + 1
        if now < best:
            best, kept, kept_step = now, latents.detach().clone(), step
        if stale >= spec.patience:
            break
    latent_set = replace(start, latents=kept)
    with torch.no_grad():
        tokens = model.process(latent_set)
    refinement = RefinementResult(before, best, kept_step)
    return replace(field, latent_set=latent_set, tokens=tokens, refinement=refinement)


def _apart(batch: Batch, share: float, generator: torch.Generator) -> tuple[Batch, Batch]:
    """Each group's query points in two parts, at random."""
    shown: dict[str, Tensor] = {}
    aside: dict[str, Tensor] = {}
    for group in QUERY_GROUPS:
        count = getattr(batch, group).shape[1]
        order = torch.randperm(count, generator=generator)
        cut = round(share * count)
        shown |= _rows(batch, group, order[cut:])
        aside |= _rows(batch, group, order[:cut])
    return replace(batch, **shown), replace(batch, **aside)


def _some(batch: Batch, count: int, generator: torch.Generator) -> Batch:
    """So many query points of each group, or all if there are no more."""
    chosen: dict[str, Tensor] = {}
    for group in QUERY_GROUPS:
        order = torch.randperm(getattr(batch, group).shape[1], generator=generator)
        chosen |= _rows(batch, group, order[:count])
    return replace(batch, **chosen)


def _rows(batch: Batch, group: str, rows: Tensor) -> dict[str, Tensor]:
    """The fields of one group of query points, some rows of them."""
    names = [f.name for f in fields(batch) if f.name.split("_")[0] == group]
    return {name: getattr(batch, name)[:, rows] for name in names}
