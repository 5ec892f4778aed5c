"""Preflight: check before a run's first step that a step fits the memory and files fit the disk."""

import math
import shutil
import time
from dataclasses import dataclass, replace

import torch

from vecsetx.data.draw import BatchSpec
from vecsetx.errors import InputError
from vecsetx.machine import machine_bytes
from vecsetx.model.vecset import ModelSpec
from vecsetx.training.loop import Training, batches_of_steps
from vecsetx.training.meters import bytes_text, peak_bytes
from vecsetx.training.optimizer import state_bytes
from vecsetx.training.ranks import precision_on
from vecsetx.training.step_spec import StepSpec

__all__ = [
    "Preflight",
    "check_batch_fits",
    "check_state_fits",
    "check_step_fits",
    "check_weights_fit",
    "preflight",
    "seconds_per_step",
    "try_step",
]

_TRIES = 3
"""Number of steps that are tried: one to warm up, and two because other programs may slow one."""

_LONG_S = 20.0
"""A step that takes longer is tried once."""

_LARGE = 5_000_000
"""Weights of a model whose step's memory is measured before it is tried on a CPU."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """The cost of a step and of a run's files.

    Attributes:
        seconds: Duration of one step, as of :func:`seconds_per_step`.
        memory_bytes: Peak memory without the optimizers' state: allocated on a GPU; on a CPU, of
            the process.
        state_bytes: Memory of the optimizers' state, which the first step adds.
        room_bytes: Disk space that the run's files may take.
    """

    seconds: float
    memory_bytes: int
    state_bytes: int
    room_bytes: int


def preflight(training: Training) -> Preflight:
    """Try a run's next step without updating the weights, and check the disk space.

    Every rank must call this.

    Raises:
        InputError: There is too little memory or disk space.
    """
    run = training.run
    try:
        seconds = seconds_per_step(training)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"batch.hearts {run.batches.spec.hearts}: a step does not fit the memory of "
            f"{run.ranks.device} ({str(error).splitlines()[0]}); lower batch.hearts and "
            "raise training.passes, or set training.recompute=true (estimate with vecsetx plan)"
        ) from error
    memory, state = peak_bytes(run.ranks.device), state_bytes(training.optimizers)
    if run.ranks.device.type == "cuda" and not training.progress.step:  # else it has its state
        there = torch.cuda.get_device_properties(run.ranks.device).total_memory
        check_state_fits(memory, state, there, run.batches.spec.hearts)
    room = run.ranks.on_first_rank(lambda: _room(training))
    return Preflight(seconds, memory, state, room)


def check_state_fits(step: int, state: int, there: int, hearts: int) -> None:
    """Raise :class:`InputError` if a GPU holds a step, but not the optimizers' state beside it.

    Args:
        step: Bytes of a step without that state, as of the preflight.
        state: Bytes of the state, which the first step would add.
        there: Bytes of the GPU.
        hearts: Hearts per batch.
    """
    if step + state > there:
        raise InputError(
            f"batch.hearts {hearts}: a step takes {bytes_text(step)} and the optimizers' state "
            f"{bytes_text(state)}, the GPU has {bytes_text(there)}; lower batch.hearts and raise "
            "training.passes, or set training.recompute=true (estimate with vecsetx plan)"
        )


def check_weights_fit(spec: ModelSpec, structure_count: int) -> None:
    """Raise :class:`InputError` if a model's weights alone exceed the machine's memory."""
    shapes = spec.weight_shapes(structure_count).values()
    needed, there = 4 * sum(map(math.prod, shapes)), machine_bytes()
    if needed > there:
        raise InputError(
            f"model.width {spec.width}, model.layers {spec.layers}: the weights alone take "
            f"{bytes_text(needed)}, this machine has {bytes_text(there)}; lower model.width or "
            "model.layers"
        )


def check_batch_fits(spec: ModelSpec, batch: BatchSpec, device: torch.device) -> None:
    """Raise :class:`InputError` if one tensor of a step alone exceeds the machine's memory.

    That tensor is the embedding of a batch's surface points, in half precision. GPUs report a lack
    of memory themselves; on a CPU the system would kill the process.
    """
    needed = 2 * batch.hearts * batch.points * spec.width
    if device.type == "cpu" and needed > (there := machine_bytes()):
        raise InputError(
            f"batch.hearts {batch.hearts}, batch.points {batch.points}: the embedding of the "
            f"points alone takes {bytes_text(needed)}, this machine has {bytes_text(there)}; "
            "lower batch.hearts and raise training.passes (estimate with vecsetx plan)"
        )


def check_step_fits(step: StepSpec, device: torch.device) -> None:
    """Raise :class:`InputError` if a step of a large model exceeds the machine's memory.

    On a CPU, where the system would kill the process; a model of under :data:`_LARGE` weights is
    not looked at, as that takes longer than its first steps.
    """
    shapes = step.model.weight_shapes(step.structure_count).values()
    if device.type != "cpu" or sum(map(math.prod, shapes)) < _LARGE:
        return
    from vecsetx.training.memory import measure  # here, because it takes seconds to import

    if precision_on(device, step.training.precision) == "fp32":  # what is measured is bf16 else
        step = replace(step, training=replace(step.training, precision="fp32"))
    measured = measure(step)
    there = machine_bytes()
    if (needed := sum(measured.peak(step.batch.hearts).values())) > there:
        most = measured.largest_batch(float(there))
        or_lower = f", or lower batch.hearts to {most} at most" if most else ""
        raise InputError(
            f"batch.hearts {step.batch.hearts}: a step takes about {bytes_text(needed)}, this "
            f"machine has {bytes_text(there)}; train on a GPU{or_lower} (see vecsetx plan)"
        )


def seconds_per_step(training: Training) -> float:
    """Measure a run's next step, data included, without updating the weights.

    It is tried :data:`_TRIES` times. The first one takes longer than all others on a machine; the
    fastest of the others counts, as the least disturbed by other programs. If the first one takes
    over :data:`_LONG_S`, what it takes longer matters little, and it counts. Every rank must call
    this.

    Raises:
        torch.OutOfMemoryError: It does not fit the memory of a GPU.
    """
    first = try_step(training)
    if training.run.ranks.on_first_rank(lambda: first > _LONG_S):  # all ranks try as many
        return first
    return min(try_step(training) for _ in range(_TRIES - 1))


def try_step(training: Training) -> float:
    """Take a run's next step without updating the weights; return how long it took, s."""
    run, step, began = training.run, training.progress.step, time.monotonic()
    drawn = next(batches_of_steps(run, step, step + 1, workers=0))
    ready = time.monotonic()
    training.stepper.try_step(drawn.batches)
    if run.ranks.device.type == "cuda":
        torch.cuda.synchronize(run.ranks.device)
    drawing, computing = ready - began, time.monotonic() - ready
    workers = run.training.data_workers
    # Data workers draw during other steps.
    return max(computing, drawing / workers) if workers else computing + drawing


def _room(training: Training) -> int:
    """Bytes of the last and the best checkpoint, each with its successor, and of the model."""
    run = training.run
    weights = sum(p.numel() * p.itemsize for p in run.model.parameters())
    checkpoint = (2 if training.average else 1) * weights + state_bytes(training.optimizers)
    # The old checkpoint stays until the new one is complete. So does the best one, which contains
    # weights only; the model is written once.
    needed = 2 * checkpoint + 3 * weights
    there = sum(file.stat().st_size for file in (run.checkpoint, run.best) if file.exists())
    free = shutil.disk_usage(run.folder).free
    if needed - there > free:
        raise InputError(
            f"{run.folder}: checkpoints and model may take {bytes_text(needed)}, but only "
            f"{bytes_text(free)} are free; make room, or choose another --out"
        )
    return needed
