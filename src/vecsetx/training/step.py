"""One optimisation step, over several passes and ranks as if they were one batch."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vecsetx.data.batch import Batch
from vecsetx.errors import DivergedError
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.training.objective import ObjectiveSpec, gradient_norms, loss_masks, objective
from vecsetx.training.ranks import Ranks, autocast, scaler
from vecsetx.training.teacher import Teacher

__all__ = ["StepResult", "Stepper"]


class _ModelWithObjective(nn.Module):
    """The model with its objective as one module, so that DDP can average its gradients."""

    def __init__(self, model: VecSetAutoEncoder, spec: ObjectiveSpec) -> None:
        super().__init__()
        self.model, self.spec = model, spec

    def forward(self, batch: Batch, counts: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a part of a batch and its terms; ``counts`` are those of the whole batch."""
        return objective(self.model, batch, self.spec, counts)


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step.

    Attributes:
        terms: The weighted loss terms of the whole batch.
        norms: Norm of each term's own gradient in this rank's last part; None if not measured.
    """

    terms: dict[str, float]
    norms: dict[str, float] | None


class Stepper:
    """Takes optimisation steps.

    Every term of the loss is divided by the number of entries that carry loss in the whole batch,
    whatever part of the batch a rank or a pass sees. So k passes, or k ranks, equal one pass with k
    times the hearts.

    Args:
        model: The model, on its device and in training mode.
        spec: The objective.
        optimizers: Together they hold each weight once.
        clip: Largest norm of the whole gradient.
        precision: See :class:`~vecsetx.training.spec.TrainingSpec`.
        ranks: The run's processes.
        teacher: Supplies distances to unannotated structures, or None.
    """

    def __init__(
        self,
        model: VecSetAutoEncoder,
        spec: ObjectiveSpec,
        optimizers: list[torch.optim.Optimizer],
        clip: float,
        precision: str,
        ranks: Ranks,
        teacher: Teacher | None = None,
    ) -> None:
        self._model, self._spec, self._optimizers, self._clip = model, spec, optimizers, clip
        self._precision, self._ranks, self._teacher = precision, ranks, teacher
        self.scaler = scaler(ranks.device, precision)
        learner = _ModelWithObjective(model, spec)
        self._learner = DistributedDataParallel(learner) if ranks.count > 1 else learner

    def step(self, parts: list[Batch], measure_terms: bool) -> StepResult:
        """Forward and backward pass for every part, then one update of the weights.

        Args:
            parts: A batch for each pass of this rank.
            measure_terms: Whether to measure the norm of each term's own gradient.

        Raises:
            DivergedError: The loss or its gradient is not finite; raised on all ranks alike. The
                weights are lost.
        """
        sums, norms = self._descend(parts, measure_terms)
        # Summed over the ranks, so that all of them agree on whether the loss is finite.
        totals = self._ranks.summed(torch.stack(list(sums.values())).float())
        norm = self._update()
        # Only here does the CPU wait for a GPU: its kernels, the update's too, are launched.
        *terms, length = torch.cat([totals, norm.to(totals)[None]]).tolist()
        # In fp16 the scaler skips steps whose gradients overflow; that is no divergence.
        if not all(map(math.isfinite, terms)) or not (
            math.isfinite(length) or self.scaler.is_enabled()
        ):
            raise DivergedError(f"the loss is {sum(terms)}, its gradient's norm {length}")
        return StepResult(dict(zip(sums, terms, strict=True)), norms)

    def try_step(self, parts: list[Batch]) -> None:
        """Do everything in a step except for updating the weights."""
        self._descend(parts, measure_terms=False)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def _descend(
        self, parts: list[Batch], measure_terms: bool
    ) -> tuple[dict[str, Tensor], dict[str, float] | None]:
        """Forward and backward pass for every part: sums of the loss terms, and gradient norms."""
        device = self._ranks.device
        # The whole batch must be counted before the first part's loss can be divided.
        parts = [self._taught(part.to(device)) for part in parts]
        counts = self._counts(parts)
        sums: dict[str, Tensor] = {}
        norms = None
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with self._unsynchronised() if not last else nullcontext():
                with autocast(device, self._precision):
                    loss, terms = self._learner(part, counts)
                # Once per step is enough: it takes a backward pass per term.
                if last and measure_terms:
                    norms = gradient_norms(terms, self._model.parameters())
                # DDP averages the ranks' gradients, but they are parts of one sum.
                self.scaler.scale(loss * self._ranks.count).backward()
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach()
        return sums, norms

    def _taught(self, part: Batch) -> Batch:
        if self._teacher is None:
            return part
        with autocast(self._ranks.device, self._precision):
            return self._teacher.fill_in(part)

    def _counts(self, parts: list[Batch]) -> dict[str, Tensor]:
        """The number of entries that carry loss in all parts of all ranks, per term."""
        head, has_penalty = self._model.head, self._model.spec.bottleneck == "kl"
        masks = [loss_masks(head, part, self._spec, has_penalty) for part in parts]
        own = torch.stack([torch.stack([m[name].sum() for m in masks]).sum() for name in masks[0]])
        return dict(zip(masks[0], self._ranks.summed(own).unbind(), strict=True))

    def _unsynchronised(self) -> AbstractContextManager[None]:
        """Keep the gradients on their rank; only after the last pass are they averaged."""
        learner = self._learner
        return learner.no_sync() if isinstance(learner, DistributedDataParallel) else nullcontext()

    def _update(self) -> Tensor:
        """Clip the gradients and let the optimizers update the weights; return the norm before."""
        # In fp16, gradients are scaled up; clipping needs their true norm.
        for optimizer in self._optimizers:
            self.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        for optimizer in self._optimizers:
            self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()
        return norm
