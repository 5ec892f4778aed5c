"""Optimizers and schedule: Muon for hidden matrices, AdamW for the rest, warm-up and cosine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vecsetx.model.attention import Attention
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.ranges import Count, Factor, Rate, Share, Weight
from vecsetx.training.muon import Muon

__all__ = ["OptimizerSpec", "parameter_groups", "rate_share", "state_bytes"]


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """Optimizers, learning rates and their schedule.

    Attributes:
        hidden: The optimizer of hidden matrices: ``muon``, or ``adamw`` as for all other weights.
        muon_lr: Peak learning rate of hidden matrices with ``muon``.
        adamw_lr: Peak learning rate of all weights that AdamW updates.
        per_hearts: Hearts per step for which the rates are given; for other numbers they scale
            linearly (Goyal et al., arXiv 1706.02677). None: the rates hold for any number.
        weight_decay: Decoupled weight decay of matrices.
        warmup: Share of the steps over which the rates rise linearly.
        final: Share of the peak at which the cosine schedule ends.
        clip: Largest norm of the whole gradient; longer ones are scaled down to it.
    """

    hidden: Literal["muon", "adamw"] = "muon"
    muon_lr: Rate = 0.005
    adamw_lr: Rate = 0.002
    per_hearts: Count | None = None
    weight_decay: Weight = 0.01
    warmup: Share = 0.05
    final: Share = 0.02
    clip: Factor = 1.0

    def build(self, model: VecSetAutoEncoder) -> list[torch.optim.Optimizer]:
        """The optimizers of a model; each parameter belongs to exactly one."""
        hidden, others, bare = parameter_groups(model)
        by_adamw = [*others, *hidden] if self.hidden == "adamw" else others
        adamw_groups = [
            {"params": by_adamw, "weight_decay": self.weight_decay},
            {"params": bare, "weight_decay": 0.0},
        ]
        # β₂ below the default of 0.999 adapts faster, as is usual for transformers.
        fused = bare[0].is_cuda or None  # one kernel for all weights; elsewhere PyTorch's default
        adamw = torch.optim.AdamW(adamw_groups, lr=self.adamw_lr, betas=(0.9, 0.98), fused=fused)
        if self.hidden == "adamw":
            return [adamw]
        # The order of the optimizers is that of peak_rates, and of their states in checkpoints.
        return [Muon(hidden, lr=self.muon_lr, weight_decay=self.weight_decay), adamw]

    def peak_rates(self, hearts: int) -> list[float]:
        """Peak learning rates for a number of hearts per step, in the order of :meth:`build`."""
        rates = [self.adamw_lr] if self.hidden == "adamw" else [self.muon_lr, self.adamw_lr]
        return [rate * hearts / (self.per_hearts or hearts) for rate in rates]


def parameter_groups(
    model: VecSetAutoEncoder,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into hidden matrices, other matrices, and vectors.

    Hidden matrices map features to features. Those that read positions, structures or learned
    latents, and those that write distances, are not hidden.
    """
    outer = [
        model.point_embedding,
        model.query_embedding,
        model.head,
        *([model.of_structures] if model.of_structures else []),
        *(
            module.from_offset
            for module in model.modules()
            if isinstance(module, Attention) and module.from_offset is not None
        ),
    ]
    # By identity: == compares the values of tensors.
    outer_ids = {id(p) for module in outer for p in module.parameters()}
    if model.learned is not None:
        outer_ids.add(id(model.learned))
    hidden, others, bare = [], [], []
    for parameter in model.parameters():
        if parameter.ndim < 2:
            bare.append(parameter)
        elif id(parameter) in outer_ids:
            others.append(parameter)
        else:
            hidden.append(parameter)
    return hidden, others, bare


def state_bytes(optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """Bytes of the optimizers' state: one moving average per weight for Muon, two for AdamW."""
    return sum(
        (1 if isinstance(optimizer, Muon) else 2) * parameter.numel() * parameter.itemsize
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    )


def rate_share(step: int, steps: int, spec: OptimizerSpec) -> float:
    """Share of the peak learning rate at a step 0, 1, …: linear warm-up, then half a cosine."""
    warmup_steps = max(1, round(spec.warmup * steps))
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return spec.final + (1 - spec.final) * 0.5 * (1 + math.cos(math.pi * progress))
