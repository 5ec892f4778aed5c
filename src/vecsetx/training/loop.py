"""The training loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from vecsetx.data.draws import Draws
from vecsetx.errors import DivergedError
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from vecsetx.training.journal import Entry, Journal
from vecsetx.training.objective import ObjectiveSpec, gradient_norms, objective
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
        recompute: Keep only the tokens between the model's blocks for the backward pass, and
            compute the rest anew: less memory, a third more time.
        compile: Have PyTorch compile the model's blocks (``torch.compile``), which needs a C++
            compiler. Worth it on a GPU from thousands of steps on.
        gradient_norms_every: Steps between measurements of each term's own gradient; 0 for none.
    """

    steps: PositiveInt = 1200
    seed: NonNegativeInt = 0
    log_every: PositiveInt = 25
    validate_every: NonNegativeInt = 0
    checkpoint_every: PositiveInt = 250
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    recompute: bool = False
    compile: bool = False
    gradient_norms_every: NonNegativeInt = 0


Validator = Callable[[VecSetAutoEncoder], float]
"""Gives the mean Dice on the voxel grid of hearts that are not trained on."""

Observer = Callable[[Entry], None]
"""Is told of every journal entry (to display it, say)."""


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


def train(run: Run, resume: bool, stop_after: int | None = None) -> int:
    """Train to the end of the run.

    Args:
        run: What to train and how.
        resume: Go on from the run's checkpoint.
        stop_after: Stop with a checkpoint after this step, as if interrupted. On a CPU, a resumed
            run then ends with the same weights and journal as one that was never stopped.

    Returns:
        Steps done.

    Raises:
        DivergedError: The loss or its gradient is not finite.
        InputError: There is nothing to resume from, or it does not fit.
    """
    model = run.model.to(run.device).train()
    model.recompute = run.training.recompute
    if run.training.compile:
        model.compile_blocks()
    optimizers = run.optimizer.build(model)
    start = Progress(0, 0.0, {}, 0)
    if resume:
        start = load_checkpoint(run.checkpoint, model, optimizers)
    journal = Journal(run.folder / "metrics.jsonl", resume_at=start.step)
    began = time.monotonic() - start.seconds
    steps = run.training.steps
    last = steps if stop_after is None else min(steps, stop_after)
    recent = _Recent(start)
    for step in range(start.step, last):
        rates = _set_rates(optimizers, run, step)
        terms, norms = _step(run, step, optimizers)
        recent.add(terms, norms)
        done, seconds = step + 1, time.monotonic() - began
        if _due(done, run.training.log_every) or done == steps:
            _report(run, journal, recent.entry(done, max(rates), seconds))
        if _due(done, run.training.checkpoint_every) or done == last:
            progress = Progress(done, seconds, recent.sums, recent.count)
            save_checkpoint(run.checkpoint, model, optimizers, progress)
        if run.validator and (_due(done, run.training.validate_every) or done == steps):
            _validate(run, run.validator, journal, done, seconds)
    return max(start.step, last)


def _step(
    run: Run, step: int, optimizers: list[torch.optim.Optimizer]
) -> tuple[dict[str, Tensor], dict[str, float] | None]:
    """One step: draw, forward, backward, move. Returns the loss terms, and their gradients' norms.

    The latter only in steps that are to measure them.
    """
    batch = run.draws.batch(step).to(run.device)
    with autocast(run.device, run.training.precision):
        loss, terms = objective(run.model, batch, run.objective)
    norms = None
    if _due(step + 1, run.training.gradient_norms_every):
        norms = gradient_norms(terms, run.model.parameters())
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.optimizer.clip)
    if not (torch.isfinite(loss) and torch.isfinite(norm)):
        raise DivergedError(
            f"step {step}: the loss is {loss.item()}, its gradient's norm {norm.item()}; start "
            "again in another --out with lower optimizer.muon_lr and optimizer.adamw_lr "
            f"({run.checkpoint.parent} keeps the last checkpoint)"
        )
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return terms, norms


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
    """Means of the loss terms since the last entry, and the last measured gradients."""

    def __init__(self, start: Progress) -> None:
        self.sums, self.count = dict(start.sums), start.count
        self.norms: dict[str, float] | None = None

    def add(self, terms: dict[str, Tensor], norms: dict[str, float] | None) -> None:
        self.norms = norms or self.norms
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term.item()
        self.count += 1

    def entry(self, step: int, rate: float, seconds: float) -> Entry:
        terms = {name: total / self.count for name, total in self.sums.items()}
        loss, norms = sum(terms.values()), self.norms
        shares = {name: term / loss for name, term in terms.items()}
        self.sums, self.count, self.norms = {}, 0, None
        return Entry(step, "train", loss, terms, shares, norms, rate, seconds)


def _set_rates(optimizers: list[torch.optim.Optimizer], run: Run, step: int) -> list[float]:
    share = rate_share(step, run.training.steps, run.optimizer)
    rates = [share * peak for peak in run.optimizer.peak_rates()]
    for optimizer, rate in zip(optimizers, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
    return rates


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _validate(run: Run, validator: Validator, journal: Journal, step: int, seconds: float) -> None:
    run.model.eval()
    grid_dice = validator(run.model)
    run.model.train()
    _report(run, journal, Entry(step, "val", seconds=seconds, grid_dice=grid_dice))


def _report(run: Run, journal: Journal, entry: Entry) -> None:
    journal.add(entry)
    run.observer(entry)
