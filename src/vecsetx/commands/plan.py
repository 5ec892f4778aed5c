"""``vecsetx plan``: estimate the GPU memory of a training step, and the time of a run."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.recipe import Recipe
from vecsetx.terminal.progress_bars import console, duration_text, steps
from vecsetx.training.loop import Training
from vecsetx.training.memory import PARTS, StepMemory, StepSpec, measure
from vecsetx.training.meters import machine_bytes
from vecsetx.training.preflight import seconds_per_step
from vecsetx.training.ranks import joined_ranks
from vecsetx.training.run import Run
from vecsetx.training.stopping import StopRequest

__all__ = ["Plan", "make_plan", "plan_training"]

_GB, _MB = 10**9, 10**6

_CONTEXT_BYTES = _GB
"""Assumed memory of CUDA itself, its libraries and the scratch space of their kernels."""

_FRAGMENTED_SHARE = 0.05
"""Assumed memory that PyTorch's allocator holds beyond the tensors, as a share of the tensors."""

_MEMORY_SHARE = 0.5
"""Share of this machine's memory that a trial step may take by the estimate."""

_WAYS = (False, True)
"""The values of ``training.recompute``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The memory of a recipe's training step on one GPU.

    Attributes:
        hearts: Number of hearts per step.
        recompute: Whether the recipe recomputes activations.
        kept: Memory of a step that keeps all activations.
        recomputed: Memory of a step that recomputes them in the backward pass.
    """

    hearts: int
    recompute: bool
    kept: StepMemory
    recomputed: StepMemory

    def memory(self, recompute: bool) -> StepMemory:
        """Return the memory of a step with or without recomputation."""
        return self.recomputed if recompute else self.kept

    def total(self, recompute: bool) -> float:
        """Return the expected bytes on a GPU, assumed ones included."""
        peak = sum(self.memory(recompute).peak(self.hearts).values())
        return (1 + _FRAGMENTED_SHARE) * peak + _CONTEXT_BYTES

    def largest_batch(self, recompute: bool, gpu_bytes: float) -> int:
        """Return the largest number of hearts per step that fits on a GPU."""
        # The inverse of `total`: what is left for tensors.
        left = (gpu_bytes - _CONTEXT_BYTES) / (1 + _FRAGMENTED_SHARE)
        return self.memory(recompute).largest_batch(left)

    def verdict(self, gpu_bytes: float) -> str:
        """State whether the recipe fits on a GPU and, if not, what to change."""
        if self.total(self.recompute) <= gpu_bytes:
            found = self._of(self.recompute, gpu_bytes)
            return f"fits as it is (training.{_name(self.recompute)}): {found}"
        if not self.recompute and self.total(True) <= gpu_bytes:
            return f"fits with training.recompute=true: {self._of(True, gpu_bytes)}"
        most = self.largest_batch(True, gpu_bytes)
        if most:
            advice = f"fits with training.recompute=true and batch.hearts={most}"
        else:
            advice = "not even one heart fits; lower batch.points, or use a smaller preset"
        return f"does not fit: {self._of(True, gpu_bytes)} with training.recompute=true; {advice}"

    def _of(self, recompute: bool, gpu_bytes: float) -> str:
        return f"{self.total(recompute) / _GB:.1f} GB of {gpu_bytes / _GB:g}"


def make_plan(recipe: Recipe, structure_count: int) -> Plan:
    """Estimate the memory of a recipe's training step for K structures, recomputing or not.

    The step runs on fake tensors, without data and without a GPU.
    """
    spec = StepSpec(
        recipe.model,
        recipe.batch,
        recipe.objective,
        recipe.optimizer,
        recipe.training,
        structure_count,
    )
    with steps("measuring a step", 2) as progress:
        measured = []
        for recompute in _WAYS:
            training = replace(recipe.training, recompute=recompute)
            measured.append(measure(replace(spec, training=training)))
            progress.advance()
    return Plan(recipe.batch.hearts, recipe.training.recompute, *measured)


def plan_training(data: Path, recipe: Recipe, gpu_gb: float) -> Plan:
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
    console.print(_parts(plan))
    console.print(_ways(plan, gpu_bytes))
    hearts = "1 heart" if plan.hearts == 1 else f"{plan.hearts} hearts"
    console.print(f"{hearts} per step: {plan.verdict(gpu_bytes)}")
    console.print(f"time on this machine: {_time(dataset, recipe, plan)}", markup=False)
    return plan


def _time(dataset: DataSet, recipe: Recipe, plan: Plan) -> str:
    """Say how long a run would take on this machine at most, by a step of one heart.

    Several hearts together take less than one after the other.
    """
    needed = sum(plan.memory(recipe.training.recompute).peak(1).values())
    if needed > _MEMORY_SHARE * _memory_bytes():
        return "unknown, as it has too little memory for a step of even one heart"
    try:
        per_heart = _seconds_per_heart(dataset, recipe)
    except InputError as error:
        return f"unknown, as training cannot start: {error}"
    per_step = recipe.batch.hearts * recipe.training.passes
    count = recipe.training.in_steps(len(dataset.of_split("train")), per_step).steps
    seconds = per_step * per_heart
    length = duration_text(max(1.0, count * seconds))
    return (
        f"at most about {length} for {count} {'step' if count == 1 else 'steps'} of "
        f"{seconds:.2g} s, validations not counted"
    )


def _seconds_per_heart(dataset: DataSet, recipe: Recipe) -> float:
    """Measure a training step of one heart on this machine."""
    hearts, one = dataset.of_split("train"), replace(recipe.batch, hearts=1)
    seed = recipe.training.seed
    with joined_ranks() as ranks:
        run = Run(
            folder=Path(),  # nothing is written
            model=recipe.model.build(len(dataset.structures)),
            batches=TrainingBatches(dataset, hearts, one, recipe.augment, seed, recipe.partial),
            objective=recipe.objective,
            optimizer=recipe.optimizer,
            training=replace(recipe.training, passes=1, compile=False),
            validator=None,
            observers=[],
            warn=console.print,
            ranks=ranks,
            request=StopRequest(),
        )
        return seconds_per_step(Training(run, resume=False))


def _memory_bytes() -> float:
    """Return the memory of the first GPU, or of the machine if it has none."""
    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory)
    return float(machine_bytes())


def _parts(plan: Plan) -> Table:
    """Tabulate each part's memory at the moment of the peak, and its own maximum."""
    table = Table(
        title=f"A step of {plan.hearts} hearts on one GPU, GB (10⁹ bytes)", box=SIMPLE_HEAD
    )
    table.add_column("Part", no_wrap=True)
    for recompute in _WAYS:
        table.add_column(f"{_name(recompute)}\nat the peak", justify="right", no_wrap=True)
        table.add_column("at\nmost", justify="right", style="dim")
    peaks = {way: plan.memory(way).peak(plan.hearts) for way in _WAYS}
    mosts = {way: plan.memory(way).most(plan.hearts) for way in _WAYS}
    for part in PARTS:
        row = [f"{found[way][part] / _GB:.2f}" for way in _WAYS for found in (peaks, mosts)]
        table.add_row(part, *row)
    table.add_section()
    measured = {way: sum(peaks[way].values()) for way in _WAYS}
    fragmented = {way: _FRAGMENTED_SHARE * measured[way] for way in _WAYS}
    for title, sizes, style in (
        ("measured", measured, None),
        (f"fragmentation, {_FRAGMENTED_SHARE:.0%} (assumed)", fragmented, None),
        ("CUDA and kernels (assumed)", dict.fromkeys(_WAYS, _CONTEXT_BYTES), None),
        ("total", {way: plan.total(way) for way in _WAYS}, "bold"),
    ):
        cells = [cell for way in _WAYS for cell in (f"{sizes[way] / _GB:.2f}", "")]
        table.add_row(title, *cells, style=style)
    return table


def _ways(plan: Plan, gpu_bytes: float) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("training.", no_wrap=True)
    headings = ("kept per heart, MB", "total, GB", f"largest batch in {gpu_bytes / _GB:g} GB")
    for heading in headings:
        table.add_column(heading, justify="right")
    for way in _WAYS:
        table.add_row(
            _name(way),
            f"{plan.memory(way).kept_per_heart() / _MB:.1f}",
            f"{plan.total(way) / _GB:.1f}",
            str(plan.largest_batch(way, gpu_bytes)),
        )
    return table


def _name(recompute: bool) -> str:
    return f"recompute={str(recompute).lower()}"
