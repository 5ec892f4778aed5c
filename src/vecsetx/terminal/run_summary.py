"""What is said of a training run before its first step and after its last."""

from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.model.weights import parameter_count
from vecsetx.progress import duration_text
from vecsetx.recipe import Recipe
from vecsetx.training.loop import Training
from vecsetx.training.meters import bytes_text
from vecsetx.training.preflight import Preflight
from vecsetx.training.ranks import Ranks, precision_on
from vecsetx.training.run import Run
from vecsetx.training.spec import TrainingSpec

__all__ = ["long_ramp", "origin", "size", "summary", "why_no_validation"]


def size(batches: TrainingBatches, model: VecSetAutoEncoder, ranks: Ranks, precision: str) -> str:
    """Say in a line on how many hearts a run trains what, and on what devices.

    Args:
        batches: The training hearts.
        model: The model.
        ranks: The run's processes.
        precision: That of the recipe; said on GPUs, with the reason if ``auto`` means fp32.
    """
    variants = sum(map(len, batches.versions)) - len(batches.files)
    of_variants = f" and {_counted(variants, 'variant')}" if variants else ""
    return (
        f"training on {_counted(len(batches.files), 'heart')}{of_variants}: "
        f"{_counted(len(batches.structures), 'structure')}, "
        f"{parameter_count(model) / 1e6:.2f} M weights, {ranks.count} × {ranks.device.type}"
        f"{_on_gpu(ranks, precision)}"
    )


def _on_gpu(ranks: Ranks, precision: str) -> str:
    if ranks.device.type != "cuda":
        return ""
    chosen = precision_on(ranks.device, precision)
    if precision != "auto" or chosen != "fp32":
        return f" in {chosen}"
    return (
        " in fp32, as it has no bfloat16; training.precision=fp16 takes less time and memory, but "
        "was not tried on such GPUs"
    )


def summary(
    training: Training, checked: Preflight, recipe: Recipe, no_validation: str
) -> list[str]:
    """Say what a step and the files of a run take, how long it takes, and what it lacks, in lines.

    Args:
        training: The run, at its start or where it continues.
        checked: The result of its preflight.
        recipe: Its recipe.
        no_validation: Why it has no validations, or empty.
    """
    run = training.run
    memory = bytes_text(checked.memory_bytes + checked.state_bytes)
    lines = [
        f"preflight passed: a step of {_counted(run.hearts_per_step, 'heart')} takes "
        f"{checked.seconds:.2g} s and about {memory} per process; the run writes up to "
        f"{bytes_text(checked.room_bytes)}",
    ]
    steps, left = run.training.steps, run.training.steps - training.progress.step
    if not left:
        done = "the 1 step of this run is" if steps == 1 else f"all {steps} steps of this run are"
        return [*lines, f"{done} done; for more, type --resume {_length(run, recipe, 2 * steps)}"]
    validations = "" if no_validation else ", and validations some more"
    length = duration_text(max(1.0, left * checked.seconds))
    lines.append(
        f"{_counted(left, 'step')} will take about {length} on this machine, as measured now"
        f"{validations}"
    )
    return [*lines, *([f"no validations: {no_validation}"] if no_validation else [])]


def why_no_validation(dataset: DataSet, fold: int | None, spec: TrainingSpec) -> str:
    """Why a run has no validations, and what turns them on; empty if it has them.

    Args:
        dataset: The data set.
        fold: The fold held out; None for the data set's own split.
        spec: The run's options, in steps.
    """
    if not dataset.of_split("val", fold):
        return "the data set has no validation hearts (vecsetx prepare --val-share sets some aside)"
    if spec.validate_every:
        return ""
    every = max(1, spec.steps // 4)
    return f"training.validate_every={every} adds some, and keeps the best one's weights"


def origin(training: Training, no_validation: str) -> str:
    """Say of which step the model of a complete run is.

    Args:
        training: The run.
        no_validation: Why it has no validations, or empty.
    """
    if no_validation:
        return f"the model is that of the last step, without a validation; {no_validation}"
    if training.progress.best is None:
        return "the model is that of the last step: no validation scored a heart on its voxel grid"
    return f"the model is that of the best validation, grid Dice {training.progress.best:.3f}"


def long_ramp(run: Run, recipe: Recipe) -> str:
    """Warn of a run that ends before it hides as much of the hearts as its recipe says.

    Returns:
        The warning, or an empty text.
    """
    ramp, steps, per_step = recipe.partial.ramp, run.training.steps, run.hearts_per_step
    hearts = steps * per_step
    if not recipe.partial.hides or ramp <= hearts:
        return ""
    longer = _length(run, recipe, -(-ramp // per_step))
    return (
        f"partial.ramp: hearts are hidden in full only after {_counted(ramp, 'heart')}, but this "
        f"run ends after {hearts}, at {hearts / ramp:.0%} of what is to be hidden; type "
        f"partial.ramp={hearts // 5}, or {longer} or more"
    )


def _length(run: Run, recipe: Recipe, steps: int) -> str:
    """Return the override that gives a run at least that number of steps."""
    if recipe.training.epochs:
        return f"training.epochs={-(-steps * run.hearts_per_step // len(run.batches.files))}"
    return f"training.steps={steps}"


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
