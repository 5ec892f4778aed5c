"""The training loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from vecsetx.data.draws import Draws
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from vecsetx.training.journal import Entry, Journal
from vecsetx.training.objective import ObjectiveSpec, objective
from vecsetx.training.optimizer import OptimizerSpec, rate_share


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How long and how.

    Attributes:
        steps: Steps in all.
        seed: Seed of weights, draws and everything else.
        log_every: Steps between journal entries.
        validate_every: Steps between validations; 0 for none.
        checkpoint_every: Steps between checkpoints; there is one at the end in any case.
        precision: ``bf16`` runs matrix products in bfloat16; ``auto`` does so where the hardware
            has instructions for it.
    """

    steps: int = 1200
    seed: int = 0
    log_every: int = 25
    validate_every: int = 0
    checkpoint_every: int = 250
    precision: Literal["auto", "fp32", "bf16"] = "auto"


Validator = Callable[[VecSetAutoEncoder], float]
"""Gives the mean Dice on the voxel grid of hearts that are not trained on."""

Observer = Callable[[Entry], None]
"""Is told of every journal entry (to display it, say)."""


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a training run needs.

    Attributes:
        folder: Where ``metrics.jsonl`` and ``checkpoint.pt`` are kept.
        model: Fresh weights; trained in place.
        draws: The training batches.
        objective, optimizer, training: How it learns.
        validator: Scores the model now and then, or None.
        observer: Is told of every journal entry.
        device: Where to train.
    """

    folder: Path
    model: VecSetAutoEncoder
    draws: Draws
    objective: ObjectiveSpec
    optimizer: OptimizerSpec
    training: TrainingSpec
    validator: Validator | None
    observer: Observer
    device: torch.device

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.folder / "checkpoint.pt"


def train(run: Run, resume: bool, stop_after: int | None = None) -> None:
    """Train to the end of the run.

    Args:
        run: What to train and how.
        resume: Go on from the run's checkpoint.
        stop_after: Stop with a checkpoint after this step, as if interrupted; a resumed run then
            ends with the same weights as one that was never stopped.

    Raises:
        DivergedError: The loss is not finite.
        InputError: There is nothing to resume from, or it does not fit.
    """
    model = run.model.to(run.device).train()
    optimizers = run.optimizer.build(model)
    progress = load_checkpoint(run.checkpoint, model, optimizers) if resume else Progress(0, 0.0)
    journal = Journal(run.folder / "metrics.jsonl", resume_at=progress.step)
    began = time.monotonic() - progress.seconds
    last = min(run.training.steps, stop_after or run.training.steps)
    recent = _Recent()
    for step, batch in enumerate(run.draws.prefetched(progress.step, last), progress.step):
        rates = _set_rates(optimizers, run, step)
        with autocast(run.device, run.training.precision):
            loss, terms = objective(model, batch.to(run.device), run.objective)
        if not torch.isfinite(loss):
            raise DivergedError(
                f"step {step}: the loss is {loss.item()}; lower optimizer.muon_lr and "
                f"optimizer.adamw_lr, or resume from {run.checkpoint}"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.optimizer.clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        recent.add(terms)
        done, at_end = step + 1, step + 1 == last
        seconds = time.monotonic() - began
        if done % run.training.log_every == 0 or at_end:
            _report(run, journal, recent.entry(done, max(rates), seconds))
        if _due(done, run.training.validate_every) or (at_end and run.training.validate_every):
            _validate(run, journal, done, seconds)
        if _due(done, run.training.checkpoint_every) or at_end:
            save_checkpoint(run.checkpoint, model, optimizers, Progress(done, seconds))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision on a device."""
    enabled = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return False


class _Recent:
    """Means of the loss terms since the last entry."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, terms: dict[str, torch.Tensor]) -> None:
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(term)) + term.detach()
        self.count += 1

    def entry(self, step: int, rate: float, seconds: float) -> Entry:
        terms = {name: total.item() / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return Entry(step, "train", sum(terms.values()), terms, rate, seconds)


def _set_rates(optimizers: list[torch.optim.Optimizer], run: Run, step: int) -> list[float]:
    share = rate_share(step, run.training.steps, run.optimizer)
    rates = [share * peak for peak in run.optimizer.peak_rates()]
    for optimizer, rate in zip(optimizers, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
    return rates


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _validate(run: Run, journal: Journal, step: int, seconds: float) -> None:
    if run.validator is None:
        return
    run.model.eval()
    grid_dice = run.validator(run.model)
    run.model.train()
    _report(run, journal, Entry(step, "val", 0.0, seconds=seconds, grid_dice=grid_dice))


def _report(run: Run, journal: Journal, entry: Entry) -> None:
    journal.add(entry)
    run.observer(entry)
