"""One optimisation step: several parts of a batch on several ranks, as if it were one."""

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


class Learner(nn.Module):
    """The model with its objective: what is differentiated, and on several ranks, averaged."""

    def __init__(self, model: VecSetAutoEncoder, spec: ObjectiveSpec) -> None:
        super().__init__()
        self.model, self.spec = model, spec

    def forward(self, batch: Batch, counts: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a part of a batch and its terms; ``counts`` are the whole batch's."""
        return objective(self.model, batch, self.spec, counts)


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step gave.

    Attributes:
        terms: The whole batch's weighted loss terms.
        norms: Length of each term's own gradient, where it was measured: this rank's last part's.
    """

    terms: dict[str, float]
    norms: dict[str, float] | None


class Stepper:
    """Moves a model's weights.

    Every term of the loss is divided by what the whole batch asks, whatever part of it a rank or a
    pass sees, so that k passes, or k ranks, equal one with k times the hearts.

    Args:
        model: On its device, in training mode.
        spec: The objective.
        optimizers: Together they hold each weight once.
        clip: Largest norm of the whole gradient.
        precision: As of a training's spec.
        ranks: The run's processes.
        teacher: Says what hearts are not annotated with; None for nobody.
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
        learner = Learner(model, spec)
        self._learner = DistributedDataParallel(learner) if ranks.count > 1 else learner

    def step(self, parts: list[Batch], measure_terms: bool) -> Stepped:
        """Forward and backward for every part, then one move of the weights.

        Raises:
            DivergedError: The loss or its gradient is not finite, on all ranks alike.
        """
        sums, norms = self._descend(parts, measure_terms)
        found = self._ranks.summed(torch.stack(list(sums.values())).float())
        self._move(found)
        return Stepped(dict(zip(sums, found.tolist(), strict=True)), norms)

    def try_step(self, parts: list[Batch]) -> None:
        """Everything of a step but moving the weights."""
        self._descend(parts, measure_terms=False)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def _descend(
        self, parts: list[Batch], measure_terms: bool
    ) -> tuple[dict[str, Tensor], dict[str, float] | None]:
        """Forward and backward for every part: sums of the loss terms, lengths of gradients."""
        device = self._ranks.device
        parts = [self._taught(part.to(device)) for part in parts]
        counts = self._counts(parts)
        sums: dict[str, Tensor] = {}
        norms = None
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with self._unsynchronised() if not last else nullcontext():
                with autocast(device, self._precision):
                    loss, terms = self._learner(part, counts)
                if last and measure_terms:
                    norms = gradient_norms(terms, self._model.parameters())
                # Ranks' gradients are averaged, but are parts of one sum.
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
        """How much every part of every rank asks, per term."""
        head, has_penalty = self._model.head, self._model.spec.bottleneck == "kl"
        masks = [loss_masks(head, part, self._spec, has_penalty) for part in parts]
        own = torch.stack([torch.stack([m[name].sum() for m in masks]).sum() for name in masks[0]])
        return dict(zip(masks[0], self._ranks.summed(own).unbind(), strict=True))

    def _unsynchronised(self) -> AbstractContextManager[None]:
        """Gradients of all passes but the last stay on their rank."""
        learner = self._learner
        return learner.no_sync() if isinstance(learner, DistributedDataParallel) else nullcontext()

    def _move(self, terms: Tensor) -> None:
        for optimizer in self._optimizers:
            self.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        finite = bool(torch.isfinite(terms).all()) and (
            bool(torch.isfinite(norm)) or self.scaler.is_enabled()
        )
        if not finite:
            raise DivergedError(
                f"the loss is {float(terms.sum())}, its gradient's norm {float(norm)}"
            )
        for optimizer in self._optimizers:
            self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()
