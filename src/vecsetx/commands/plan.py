"""``vecsetx plan``: estimate the GPU memory of a training step, and the time of a run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.machine import machine_bytes
from vecsetx.progress import duration_text
from vecsetx.recipe import Recipe
from vecsetx.terminal.plan_tables import print_plan
from vecsetx.terminal.progress_bars import console, steps, waiting
from vecsetx.terminal.table import counted
from vecsetx.training.deadline import Deadline, DeadlineError
from vecsetx.training.loop import Training
from vecsetx.training.memory import measure
from vecsetx.training.plan import WAYS, Plan, name_of
from vecsetx.training.preflight import seconds_per_step, try_step
from vecsetx.training.ranks import joined_ranks
from vecsetx.training.run import Run
from vecsetx.training.stopping import StopRequest

__all__ = ["PlannedRun", "make_plan", "plan_training"]

_GB = 10**9

_TIMING_S = 20.0
"""How long steps are tried to tell the time of a run."""

_MEMORY_SHARE = 0.5
"""Share of this machine's memory that a trial step may take by the estimate."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What a training would take.

    Attributes:
        plan: The memory of a step.
        gpu_bytes: Memory of one GPU.
        time: The time of the run on this machine, as text.
    """

    plan: Plan
    gpu_bytes: float
    time: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        plan = self.plan
        return {
            "weights": plan.kept.parameters,
            "hearts": plan.hearts,
            "recompute": plan.recompute,
            "gpu_bytes": int(self.gpu_bytes),
            "ways": {
                name_of(way): {
                    "bytes": int(plan.total(way)),
                    "largest_batch": plan.largest_batch(way, self.gpu_bytes),
                }
                for way in WAYS
            },
            "verdict": plan.verdict(self.gpu_bytes),
            "time": self.time,
        }


def make_plan(recipe: Recipe, structure_count: int) -> Plan:
    """Estimate the memory of a recipe's training step for K structures, recomputing or not.

    The step runs on fake tensors, without data and without a GPU.
    """
    spec = recipe.step(structure_count)
    with steps("measuring a step", 2) as progress:
        measured = []
        for recompute in WAYS:
            training = replace(recipe.training, recompute=recompute)
            measured.append(measure(replace(spec, training=training)))
            progress.advance()
    return Plan(recipe.batch.hearts, recipe.training.recompute, *measured)


def plan_training(data: Path, recipe: Recipe, gpu_gb: float) -> PlannedRun:
    """Print the GPU memory and the time of training on a data set. Nothing is written.

    Args:
        data: A prepared data set.
        recipe: All options of model and training.
        gpu_gb: Memory of one GPU, 10⁹ bytes.

    Raises:
        InputError: There is no usable data set.
    """
    dataset = DataSet.read(data)
    plan = make_plan(recipe, len(dataset.structures))
    gpu_bytes = gpu_gb * _GB
    console.print(f"{plan.kept.parameters:,} weights")
    print_plan(plan, gpu_bytes)
    console.print(f"\n{counted(plan.hearts, 'heart')} per step: {plan.verdict(gpu_bytes)}")
    time = _time(dataset, recipe, plan)
    console.print(f"time on this machine: {time}", markup=False, soft_wrap=True)
    return PlannedRun(plan, gpu_bytes, time)


def _time(dataset: DataSet, recipe: Recipe, plan: Plan) -> str:
    """Say how long a run would take on this machine at most, by a step of one heart.

    Several hearts together take less than one after the other. If even one heart takes too long to
    try, say so instead.
    """
    per_step = recipe.batch.hearts * recipe.training.passes
    count = recipe.training.in_steps(len(dataset.of_split("train")), per_step).steps
    run = f"{counted(count, 'step')} of {counted(per_step, 'heart')}"
    needed = sum(plan.memory(recipe.training.recompute).peak(1).values())
    if needed > _MEMORY_SHARE * _memory_bytes():
        return "unknown, as it has too little memory for a step of even one heart"
    try:
        per_heart = _seconds_per_heart(dataset, recipe)
    except InputError as error:
        return f"unknown, as training cannot start: {error}"
    except DeadlineError:
        return (
            f"a step of even one heart takes more than {_TIMING_S:.0f} s here, and the run has "
            f"{run}; train it on a GPU, or plan a smaller preset"
        )
    seconds = per_step * per_heart
    return (
        f"at most about {duration_text(max(1.0, count * seconds))} for {run}, {seconds:.2g} s each,"
        " measured now beside whatever else runs here; validations not counted"
    )


@waiting("timing steps")
def _seconds_per_heart(dataset: DataSet, recipe: Recipe) -> float:
    """Measure a training step of one heart on this machine.

    Raises:
        InputError: Training cannot start.
        DeadlineError: It takes longer than :data:`_TIMING_S`.
    """
    console.notice(f"timing steps of one heart on this machine, for at most {_TIMING_S:.0f} s")
    hearts, one = dataset.of_split("train"), replace(recipe.batch, hearts=1)
    seed = recipe.training.seed
    # Before the model, whose weights take time to draw.
    batches = TrainingBatches(dataset, hearts, one, recipe.augment, seed, recipe.partial)
    with joined_ranks() as ranks:
        run = Run(
            folder=Path(),  # nothing is written
            model=recipe.model.build(len(dataset.structures)),
            batches=batches,
            objective=recipe.objective,
            optimizer=recipe.optimizer,
            training=replace(recipe.training, passes=1, compile=False),
            validator=None,
            observers=[],
            warn=console.print,
            ranks=ranks,
            request=StopRequest(),
        )
        with Deadline(_TIMING_S):
            training = Training(run, resume=False)
            first = try_step(training)
        # The limit slows every operation, so that short steps are timed without it.
        return first if first > _TIMING_S / 4 else seconds_per_step(training)


def _memory_bytes() -> float:
    """Return the memory of the first GPU, or of the machine if it has none."""
    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory)
    return float(machine_bytes())
