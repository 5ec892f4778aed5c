"""The training loop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from vecsetx.data.batch import Batch
from vecsetx.data.draws import Batches, Draws
from vecsetx.errors import DivergedError, InputError, StoppedError
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.training.checkpoint import Progress, Stateful, load_checkpoint, save_checkpoint
from vecsetx.training.journal import Entry, Journal
from vecsetx.training.objective import ObjectiveSpec
from vecsetx.training.optimizer import OptimizerSpec, rate_share
from vecsetx.training.ranks import Ranks
from vecsetx.training.step import Stepped, Stepper
from vecsetx.training.stopping import StopRequest, noticing_signals


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How long and how.

    Attributes:
        steps: Steps in all.
        seed: Seed of weights, draws and everything else.
        log_every: Steps between journal entries.
        validate_every: Steps between validations; 0 for none.
        checkpoint_every: Steps between checkpoints; there is one at the end in any case.
        precision: ``bf16`` and ``fp16`` run matrix products in half precision; ``auto`` takes
            bfloat16 where the hardware has instructions for it.
        passes: Passes per step, each with as many hearts as the draws say: a larger batch in the
            memory of a smaller one.
        average: Decay per step of a moving average of the weights, which is then what is validated
            and kept as the model; 0 for none.
        data_workers: Processes per rank that draw batches ahead; 0 draws in between.
        deterministic: Refuse operations whose result is not the same every time (on GPUs).
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
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    passes: PositiveInt = 1
    average: NonNegativeFloat = 0.0
    data_workers: NonNegativeInt = 0
    deterministic: bool = False
    recompute: bool = False
    compile: bool = False
    gradient_norms_every: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.average >= 1:
            raise InputError(f"training.average {self.average}: a decay is below 1, as in 0.999")


@runtime_checkable
class Validator(Protocol):
    """Scores a model on the voxel grid of hearts that it is not trained on."""

    def score(self, model: VecSetAutoEncoder, rank: int, ranks: int) -> list[Any]:
        """Scores of this rank's share of the hearts, fit for pickling."""
        ...

    def mean_dice(self, scores: list[Any]) -> float:
        """What all ranks' scores come to."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a training run needs.

    Attributes:
        folder: Where ``metrics.jsonl``, ``checkpoint.pt`` and ``best.pt`` are kept.
        model: Fresh weights; trained in place.
        draws: The hearts to learn from.
        objective, optimizer, training: How it learns.
        validator: Scores the model now and then, or None.
        observer: Is told of every journal entry (to display it, say).
        warn: Is told what went wrong without ending the run.
        ranks: The processes that train together.
    """

    folder: Path
    model: VecSetAutoEncoder
    draws: Draws
    objective: ObjectiveSpec
    optimizer: OptimizerSpec
    training: TrainingSpec
    validator: Validator | None
    observer: Callable[[Entry], None]
    warn: Callable[[str], None]
    ranks: Ranks

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint's file."""
        return self.folder / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation."""
        return self.folder / "best.pt"


def train(run: Run, resume: bool, stop_after: int | None = None) -> int:
    """Train to the end of the run; the model then has the weights that are to be kept.

    Those are the moving average if there is one, and those of the best validation if there was one.

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
        StoppedError: The process was asked to stop; there is a checkpoint.
        OSError: The last checkpoint could not be written.
    """
    if run.training.deterministic:
        torch.use_deterministic_algorithms(True)
    with noticing_signals() as request:
        training = _Training(run, resume)
        done = training.until(stop_after or run.training.steps, request)
    training.keep(done == run.training.steps)
    return done


class _Training:
    """A run under way."""

    def __init__(self, run: Run, resume: bool) -> None:
        spec = run.training
        self.run = run
        model = run.model.to(run.ranks.device).train()
        model.recompute = spec.recompute
        if spec.compile:
            model.compile_blocks()
        self.optimizers = run.optimizer.build(model)
        self.stepper = Stepper(
            model, run.objective, self.optimizers, run.optimizer.clip, spec.precision, run.ranks
        )
        self.average = (
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(spec.average))
            if spec.average
            else None
        )
        self.progress = Progress(0, 0.0, {}, 0)
        if resume:
            self.progress = load_checkpoint(run.checkpoint, self._parts())
        self.journal = (
            Journal(run.folder / "metrics.jsonl", resume_at=self.progress.step)
            if run.ranks.first
            else None
        )
        self.recent = _Recent(self.progress)
        self.began = time.monotonic() - self.progress.seconds

    def _parts(self) -> dict[str, Stateful]:
        parts: dict[str, Stateful] = {"model": self.run.model, "scaler": self.stepper.scaler}
        parts |= {f"optimizer {i}": optimizer for i, optimizer in enumerate(self.optimizers)}
        return parts | ({"average": self.average} if self.average else {})

    def until(self, last: int, request: StopRequest) -> int:
        """Train until a step is done, or until asked to stop."""
        spec, first = self.run.training, self.progress.step
        last = min(last, spec.steps)
        batches = _Waiting(_batches(self.run, first, last))
        for step, parts in zip(range(first, last), batches, strict=True):
            rate = self._set_rates(step)
            self.recent.add(self._step(step, parts))
            done, seconds = step + 1, time.monotonic() - self.began
            if _due(done, spec.log_every) or done == spec.steps:
                self._report(self.recent.entry(done, rate, seconds, batches.share()))
            signalled = self.run.ranks.gathered(request.signal)
            stopped_by = next((found for found in signalled if found), None)
            self.progress = Progress(
                done, seconds, self.recent.sums, self.recent.count, self.progress.best
            )
            if self.run.validator and (_due(done, spec.validate_every) or done == spec.steps):
                self._validate(self.run.validator)
            if _due(done, spec.checkpoint_every) or done == last or stopped_by:
                self._save(self.run.checkpoint, must=done == last or stopped_by is not None)
            if stopped_by:
                raise StoppedError(
                    f"stopped by {stopped_by.name} after step {done}; go on with --resume",
                    by_hand=stopped_by.name == "SIGINT",
                )
        return max(first, last)

    def keep(self, finished: bool) -> None:
        """Give the model the weights that are to be kept."""
        kept = self.average.module if self.average else self.run.model
        if finished and self.progress.best is not None and self.run.best.exists():
            load_checkpoint(self.run.best, {"model": kept})
        self.run.model.load_state_dict(kept.state_dict())

    def _step(self, step: int, parts: list[Batch]) -> Stepped:
        # Noise depends on the step alone, so that nothing of its state need be saved.
        torch.manual_seed(
            int(np.random.default_rng([self.run.training.seed, step]).integers(1 << 62))
            + self.run.ranks.rank
        )
        measured = _due(step + 1, self.run.training.gradient_norms_every)
        try:
            stepped = self.stepper.step(parts, measured)
        except DivergedError as error:
            hearts = self.run.draws.names(step, self.run.training.passes, self.run.ranks.count)
            raise DivergedError(
                f"step {step}: {error}; it saw {', '.join(hearts)}. Start again in another --out "
                "with lower optimizer.muon_lr and optimizer.adamw_lr, or look at these hearts with "
                f"vecsetx check ({self.run.folder} keeps the last checkpoint)"
            ) from None
        if self.average:
            self.average.update_parameters(self.run.model)
        return stepped

    def _set_rates(self, step: int) -> float:
        run = self.run
        hearts = run.draws.spec.hearts * run.training.passes * run.ranks.count
        share = rate_share(step, run.training.steps, run.optimizer)
        rates = [share * peak for peak in run.optimizer.peak_rates(hearts)]
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
        return max(rates)

    def _validate(self, validator: Validator) -> None:
        """Score the model; what goes wrong is told, and training goes on."""
        model = cast(VecSetAutoEncoder, self.average.module if self.average else self.run.model)
        model.eval()
        ranks = self.run.ranks
        try:
            found: tuple[list[Any], str | None] = (
                validator.score(model, ranks.rank, ranks.count),
                None,
            )
        except Exception as error:
            found = ([], f"{type(error).__name__}: {error}")
        self.run.model.train()
        together = ranks.gathered(found)
        step, seconds = self.progress.step, self.progress.seconds
        if errors := [error for _, error in together if error]:
            if ranks.first:
                self.run.warn(f"the validation after step {step} failed: {errors[0]}")
            self._report(Entry(step, "val", seconds=seconds, error=errors[0]))
            return
        dice = validator.mean_dice([score for scores, _ in together for score in scores])
        self._report(Entry(step, "val", seconds=seconds, grid_dice=dice))
        if self.progress.best is None or dice > self.progress.best:
            self.progress = replace(self.progress, best=dice)
            self._save(self.run.best, must=False, parts={"model": model})

    def _save(self, path: Path, must: bool, parts: dict[str, Stateful] | None = None) -> None:
        """Write a checkpoint; unless it must be, a failure is told and the old one stays."""
        if not self.run.ranks.first:
            return
        try:
            save_checkpoint(path, parts or self._parts(), self.progress)
        except OSError as error:
            if must:
                raise
            self.run.warn(f"{path}: not saved ({error.strerror or error}); the old one stays")

    def _report(self, entry: Entry) -> None:
        if self.journal is not None:
            self.journal.add(entry)
            self.run.observer(entry)


class _Recent:
    """Means of the loss terms since the last entry, and the last measured gradients."""

    def __init__(self, start: Progress) -> None:
        self.sums, self.count = dict(start.sums), start.count
        self.norms: dict[str, float] | None = None

    def add(self, stepped: Stepped) -> None:
        self.norms = stepped.norms or self.norms
        for name, term in stepped.terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term
        self.count += 1

    def entry(self, step: int, rate: float, seconds: float, waiting: float) -> Entry:
        terms = {name: total / self.count for name, total in self.sums.items()}
        loss, norms = sum(terms.values()), self.norms
        shares = {name: term / loss for name, term in terms.items()}
        self.sums, self.count, self.norms = {}, 0, None
        return Entry(step, "train", loss, terms, shares, norms, rate, seconds, waiting)


class _Waiting:
    """Passes batches on, and measures how long they are waited for."""

    def __init__(self, batches: Iterator[list[Batch]]) -> None:
        self._batches = batches
        self._waited, self._since = 0.0, time.monotonic()

    def __iter__(self) -> Iterator[list[Batch]]:
        while True:
            began = time.monotonic()
            batches = next(self._batches, None)
            self._waited += time.monotonic() - began
            if batches is None:
                return
            yield batches

    def share(self) -> float:
        """Share of the time since this was last asked."""
        now = time.monotonic()
        share = self._waited / max(now - self._since, 1e-9)
        self._waited, self._since = 0.0, now
        return share


def _batches(run: Run, first: int, last: int) -> Iterator[list[Batch]]:
    """This rank's batches of the steps, drawn ahead where there are processes to do so."""
    workers = run.training.data_workers
    data = Batches(run.draws, run.training.passes, run.ranks.rank, run.ranks.count)
    return iter(
        DataLoader(
            data,
            batch_size=None,
            sampler=range(first, last),
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            collate_fn=_as_it_is,
        )
    )


def _as_it_is(batches: list[Batch]) -> list[Batch]:
    return batches


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0
