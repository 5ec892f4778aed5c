"""The training loop."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from vecsetx.data.batches import LostHeart
from vecsetx.data.step_batches import StepBatches, StepDataset
from vecsetx.errors import DivergedError, InputError, StoppedError
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.training.checkpoint import Progress, Stateful, load_checkpoint, save_checkpoint
from vecsetx.training.journal import Entry, Journal
from vecsetx.training.meters import RunMeter, WaitTimer
from vecsetx.training.optimizer import rate_share
from vecsetx.training.run import Run, Validator
from vecsetx.training.step import Stepper, StepResult
from vecsetx.training.stopping import leave_signals_to_parent

__all__ = ["Training", "batches_of_steps"]

# A forked process cannot use CUDA, and may inherit locks that are held.
_SPAWN = multiprocessing.get_context("spawn")


class Training:
    """A run in progress. All ranks take the same steps.

    Args:
        run: What to train and how.
        resume: Continue from the run's checkpoint.

    Raises:
        InputError: There is no checkpoint to resume from, it does not fit the run, or it has more
            steps than the run.
    """

    def __init__(self, run: Run, resume: bool) -> None:
        spec = run.training
        self.run = run
        if spec.deterministic:
            # cuBLAS is deterministic only with this, and reads it when it is first used.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        model = run.model.to(run.ranks.device).train()
        model.recompute = spec.recompute
        if spec.compile:
            model.compile_blocks()
        self.optimizers = run.optimizer.build(model)
        self.stepper = Stepper(
            model,
            run.objective,
            self.optimizers,
            run.optimizer.clip,
            spec.precision,
            run.ranks,
            run.teacher,
        )
        self.average = (
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(spec.average))
            if spec.average
            else None
        )
        self.progress = Progress(0, 0.0, {}, 0)
        if resume:
            self.progress = load_checkpoint(run.checkpoint, self._parts(), run.identity)
            self._check_length()
        # Opened by `until`, not here, because opening it removes the lines after the checkpoint.
        self.journal: Journal | None = None
        self.meter = RunMeter(self.progress, run.hearts_per_step, run.ranks.device)
        # As if earlier parts of a resumed run had just ended.
        self.began = time.monotonic() - self.progress.seconds
        self.lost: dict[str, LostHeart] = {}

    def _check_length(self) -> None:
        done, steps = self.progress.step, self.run.training.steps
        if steps < done:
            raise InputError(
                f"{self.run.checkpoint}: {done} steps are done, but the run is to have {steps}; "
                f"type training.steps={done} or more, or choose another --out"
            )

    def _parts(self) -> dict[str, Stateful]:
        parts: dict[str, Stateful] = {"model": self.run.model, "scaler": self.stepper.scaler}
        parts |= {f"optimizer {i}": optimizer for i, optimizer in enumerate(self.optimizers)}
        return parts | ({"average": self.average} if self.average else {})

    def until(self, last: int) -> int:
        """Train up to a step, or until a signal asks the run to stop.

        On a CPU, a run that is stopped and resumed ends with the same weights and journal as one
        that never stopped.

        Args:
            last: Number of the last step.

        Returns:
            Number of steps done.

        Raises:
            DivergedError: The loss or its gradient is not finite.
            InputError: Too many hearts were lost.
            StoppedError: A signal stopped the run, after a checkpoint.
            OSError: The last checkpoint could not be written.
        """
        if self.run.training.deterministic:
            torch.use_deterministic_algorithms(True)
        self._open_journal()
        spec, first, ranks = self.run.training, self.progress.step, self.run.ranks
        last = min(last, spec.steps)
        steps = WaitTimer(batches_of_steps(self.run, first, last, spec.data_workers))
        for step, drawn in zip(range(first, last), steps, strict=True):
            # 1. One step of the optimizers.
            rate = self._set_rates(step)
            self.meter.add(self._step(step, drawn))
            done, seconds = step + 1, time.monotonic() - self.began
            # 2. Share what only one rank may know, a signal or a lost file: all must act alike.
            gathered = ranks.gathered((self.run.request.signal, drawn.lost))
            stopped_by = next((signal for signal, _ in gathered if signal), None)
            self._count_lost([heart for _, lost in gathered for heart in lost])
            too_many = len(self.lost) > spec.max_lost_hearts
            # 3. Log, validate, save. The checkpoint comes last, so that it contains the best Dice.
            if _due(done, spec.log_interval) or done == spec.steps:
                entry = self.meter.entry(done, rate, seconds, steps.share())
                self._report(replace(entry, lost=sorted(self.lost)))
            self._count(done)
            self.progress = Progress(
                done, seconds, self.meter.sums, self.meter.count, self.progress.best
            )
            ends = done == last or stopped_by is not None or too_many
            if self.run.validator and (_due(done, spec.validate_every) or done == spec.steps):
                self._validate(self.run.validator)
            if _due(done, spec.checkpoint_every) or ends:
                self._save(must=ends)
            # 4. Stop only now that a checkpoint exists.
            if too_many:
                raise InputError(self._lost_text(done))
            if stopped_by:
                raise StoppedError(
                    f"stopped by {stopped_by.name} after step {done}, which is saved",
                    by_hand=stopped_by.name == "SIGINT",
                )
        return max(first, last)

    def keep(self) -> None:
        """Load the final weights into the model.

        At the end of a run these are the weights of the best validation; before, or without
        validations, the current ones. With a moving average, they are averages.
        """
        kept = self.average.module if self.average else self.run.model
        finished = self.progress.step == self.run.training.steps
        if finished and self.progress.best is not None and self.run.best.exists():
            load_checkpoint(self.run.best, {"model": kept}, self.run.identity)
        self.run.model.load_state_dict(kept.state_dict())

    def _open_journal(self) -> None:
        run, progress = self.run, self.progress
        if run.ranks.first:
            self.journal = Journal(run.folder / "metrics.jsonl", progress.step)
        if run.former_steps:
            changed = Entry(
                progress.step,
                "length",
                seconds=progress.seconds,
                steps=run.training.steps,
                former_steps=run.former_steps,
            )
            self._report(changed)

    def _step(self, step: int, drawn: StepBatches) -> StepResult:
        # The random state depends on step and rank alone, so that it need not be saved.
        torch.manual_seed(
            int(np.random.default_rng([self.run.training.seed, step]).integers(1 << 62))
            + self.run.ranks.rank
        )
        measured = _due(step + 1, self.run.training.gradient_norms_every)
        try:
            result = self.stepper.step(drawn.batches, measured)
        except DivergedError as error:
            hearts = self.run.batches.names(step, self.run.training.passes, self.run.ranks.count)
            raise DivergedError(
                f"step {step}: {error}; it saw {', '.join(hearts)}. Start again in another --out "
                "with lower optimizer.muon_lr and optimizer.adamw_lr, or check these hearts with "
                f"vecsetx check; {self.run.folder} keeps its last checkpoint, if it saved one"
            ) from None
        if self.average:
            self.average.update_parameters(self.run.model)
        return result

    def _set_rates(self, step: int) -> float:
        run = self.run
        share = rate_share(step, run.training.steps, run.optimizer)
        rates = [share * peak for peak in run.optimizer.peak_rates(run.hearts_per_step)]
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
        return max(rates)

    def _count_lost(self, lost: list[LostHeart]) -> None:
        for heart in lost:
            if heart.name not in self.lost:
                self.lost[heart.name] = heart
                if self.run.ranks.first:
                    self.run.warn(f"{heart.error}; {heart.name} is left out from now on")

    def _lost_text(self, done: int) -> str:
        files = "; ".join(heart.error for heart in self.lost.values())
        return (
            f"{len(self.lost)} {'heart was' if len(self.lost) == 1 else 'hearts were'} lost up to "
            f"step {done}, training.max_lost_hearts allows "
            f"{self.run.training.max_lost_hearts}: {files}. Restore the files (vecsetx prepare "
            "makes missing ones again), then continue with --resume"
        )

    def _validate(self, validator: Validator) -> None:
        """Validate the model; a failure is logged, and training continues."""
        model = cast(VecSetAutoEncoder, self.average.module if self.average else self.run.model)
        ranks, step = self.run.ranks, self.progress.step
        # Number of this validation, from 0; rounded up, as the last one may come early.
        turn = -(-step // (self.run.training.validate_every or step)) - 1
        model.eval()
        share, failed = None, None
        try:
            share = validator.validate(model, turn, ranks.rank, ranks.count)
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
        self.run.model.train()
        # A rank that failed joins all the same: the others wait for it here.
        together = ranks.gathered((share, failed))
        seconds = self.progress.seconds
        if errors := [error for _, error in together if error]:
            if ranks.first:
                self.run.warn(f"the validation after step {step} failed: {errors[0]}")
            self._report(Entry(step, "val", seconds=seconds, error=errors[0]))
            return
        found = validator.summary([share for share, _ in together])
        self._report(
            Entry(
                step,
                "val",
                found.loss,
                found.terms,
                seconds=seconds,
                grid_dice=found.grid_dice,
                grid=found.grid,
                grid_hearts=found.grid_hearts,
                points=found.points,
            )
        )
        if found.grid_dice is None:
            return
        if self.progress.best is None or found.grid_dice > self.progress.best:
            self.progress = replace(self.progress, best=found.grid_dice)
            if ranks.first:
                self._try_save(self.run.best, {"model": model})

    def _save(self, must: bool) -> None:
        """Write a checkpoint. Unless it must succeed, a failure is logged and the old one stays."""
        path = self.run.checkpoint
        if must:
            self.run.ranks.on_first_rank(
                lambda: save_checkpoint(path, self._parts(), self.progress, self.run.identity)
            )
        elif self.run.ranks.first:
            self._try_save(path, self._parts())

    def _try_save(self, path: Path, parts: dict[str, Stateful]) -> None:
        try:
            save_checkpoint(path, parts, self.progress, self.run.identity)
        except OSError as error:
            self.run.warn(f"{path}: not saved ({error.strerror or error}); the old one stays")

    def _count(self, done: int) -> None:
        for counter in self.run.counters:
            counter(done)

    def _report(self, entry: Entry) -> None:
        if self.journal is not None:
            try:
                self.journal.add(entry)
            except OSError as error:
                text = error.strerror or error
                self.run.warn(f"{self.journal.path}: not written ({text}); will be tried again")
            for observer in self.run.observers:
                observer(entry)


def batches_of_steps(run: Run, first: int, last: int, workers: int) -> Iterator[StepBatches]:
    """This rank's batches of the steps, drawn ahead if there are data workers."""
    data = StepDataset(run.batches, run.training.passes, run.ranks.rank, run.ranks.count)
    return iter(
        DataLoader(
            data,
            batch_size=None,  # the data set yields whole batches
            sampler=range(first, last),
            num_workers=workers,
            multiprocessing_context=_SPAWN if workers else None,
            worker_init_fn=leave_signals_to_parent,
            pin_memory=run.ranks.device.type == "cuda",
            collate_fn=_unchanged,  # type: ignore[arg-type] # typed for lists of samples
        )
    )


def _unchanged(drawn: StepBatches) -> StepBatches:
    return drawn


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0
