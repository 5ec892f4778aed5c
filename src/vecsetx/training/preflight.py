"""What can be known before the first step: that one can be done, and that its results have room."""

import shutil
import time
from dataclasses import dataclass

import torch

from vecsetx.errors import InputError
from vecsetx.training.loop import Training, batches_of_steps
from vecsetx.training.meters import GB, peak_bytes
from vecsetx.training.optimizer import state_bytes


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a step takes.

    Attributes:
        seconds: Of one step, drawing included.
        memory_bytes: The most allocated on a GPU, without the optimizers' state; on a CPU, what the
            process holds.
        state_bytes: The optimizers' state, which the first step adds.
        room_bytes: What the run's files may come to.
    """

    seconds: float
    memory_bytes: int
    state_bytes: int
    room_bytes: int


def preflight(training: Training) -> Preflight:
    """Go through a run's next step without moving the weights; see that there is room for files.

    Every rank has to.

    Raises:
        InputError: There is not enough memory, or not enough room.
    """
    run, step = training.run, training.progress.step
    began = time.monotonic()
    drawn = next(batches_of_steps(run, step, step + 1, workers=0))
    try:
        training.stepper.try_step(drawn.batches)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"batch.hearts {run.batches.spec.hearts}: a step does not fit the memory of "
            f"{run.ranks.device} ({str(error).splitlines()[0]}); fewer hearts with more "
            "training.passes, or training.recompute=true; see vecsetx plan"
        ) from error
    seconds = time.monotonic() - began
    return Preflight(
        seconds,
        peak_bytes(run.ranks.device),
        state_bytes(training.optimizers),
        run.ranks.on_first_rank(lambda: _room(training)),
    )


def _room(training: Training) -> int:
    """Bytes of the last and the best checkpoint, each beside its successor, and of the model."""
    run = training.run
    weights = sum(p.numel() * p.itemsize for p in run.model.parameters())
    checkpoint = (2 if training.average else 1) * weights + state_bytes(training.optimizers)
    needed = 2 * checkpoint + 3 * weights
    there = sum(file.stat().st_size for file in (run.checkpoint, run.best) if file.exists())
    free = shutil.disk_usage(run.folder).free
    if needed - there > free:
        raise InputError(
            f"{run.folder}: checkpoints and model may come to {needed / GB:.2g} GB, "
            f"{free / GB:.2g} GB are free; make room, or choose another --out"
        )
    return needed
