"""``vecsetx train``: train a model on a prepared data set."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from vecsetx._version import __version__
from vecsetx.cohort.out_folder import written_by_one
from vecsetx.commands.diagnose import diagnose_run
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.turned import choose_reference
from vecsetx.errors import InputError
from vecsetx.launcher import is_first_rank
from vecsetx.model.saved import TrainedModel
from vecsetx.recipe import Recipe
from vecsetx.runs.other_models import OtherModels
from vecsetx.runs.run_folder import (
    RunData,
    begin_run,
    check_folder,
    check_run,
    contents_of,
    identity_of,
    write_data,
    write_recipe,
)
from vecsetx.sampling.quality.usual_heart import UsualHeart
from vecsetx.terminal.progress_bars import waiting, warn
from vecsetx.terminal.run_log import RunLog
from vecsetx.terminal.run_summary import long_ramp, origin, size, summary, why_no_validation
from vecsetx.terminal.training_display import training_display
from vecsetx.training.journal import Entry
from vecsetx.training.loggers import loggers
from vecsetx.training.loop import Training
from vecsetx.training.preflight import (
    check_batch_fits,
    check_step_fits,
    check_weights_fit,
    preflight,
)
from vecsetx.training.ranks import joined_ranks
from vecsetx.training.run import Run
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.stopping import noticing_signals
from vecsetx.training.subnormals import subnormals_as_zero

__all__ = ["LogOptions", "check_training", "train_model"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where the metrics go in addition to ``metrics.jsonl``.

    Attributes:
        tensorboard: Whether to write them into ``tensorboard/`` in the run's folder.
        wandb: Project of Weights & Biases to send them to; None for none.
    """

    tensorboard: bool = False
    wandb: str | None = None


def train_model(
    data: Path,
    out: Path,
    recipe: Recipe,
    resume: bool = False,
    stop_after: int | None = None,
    fold: int | None = None,
    logs: LogOptions = LogOptions(),
) -> TrainedModel:
    """Train a model on the training hearts of a data set.

    The run's folder receives ``recipe.yaml``, ``data.json``, ``metrics.jsonl``, ``train.log``,
    ``checkpoint.pt``, ``best.pt`` (if there are validations), the trained model in ``model/`` and
    the curves in ``curves.html``. The diagnosis of the run is printed at the end. Started by
    ``torchrun``, all processes train together.

    Args:
        data: A prepared data set.
        out: The run's folder.
        recipe: All options of model and training.
        resume: Continue from the folder's checkpoint. The recipe must be the same, except that
            the run may be longer: from here on its learning rate is that of the new length.
        stop_after: Stop with a checkpoint after this step.
        fold: Fold of the data set to hold out; None for the data set's own split.
        logs: Further loggers.

    Raises:
        InputError: There is no usable data set, the folder contains another run, there is nothing
            to resume, or another check before the first step fails.
        DivergedError: The loss is no longer finite.
        StoppedError: A signal stopped the process; the run can be resumed.
    """
    with _ready(data, out, recipe, resume, fold, logs) as session, _displayed(session):
        training, run = session.training, session.training.run
        if run.former_steps:
            run.ranks.on_first_rank(lambda: write_recipe(out, recipe))
        done = training.until(stop_after or run.training.steps)
        training.keep()  # of a complete run, the weights of the best validation
        trained = _trained(session, recipe, fold, done)
        if run.ranks.first:
            trained.save_pretrained(out / "model")
    if run.ranks.first:
        if done == run.training.steps:
            session.log.tell(origin(training, session.no_validation))
        try:
            diagnose_run(out)
        except OSError as error:  # the model is saved; a page that cannot be written is no failure
            warn(f"{out}: no curves.html ({error.strerror or error})")
    return trained


def check_training(
    data: Path, out: Path, recipe: Recipe, resume: bool, fold: int | None, logs: LogOptions
) -> None:
    """Run only the checks that precede a run's first step, which takes seconds.

    Raises:
        InputError: A check fails, as in :func:`train_model`.
    """
    with _ready(data, out, recipe, resume, fold, logs):
        pass


@dataclass(frozen=True, slots=True)
class _Session:
    """A run that is ready to train, with its data set and log.

    Attributes:
        training: The run and its state.
        dataset: The data set that it is trained on.
        log: Its ``train.log``.
        no_validation: Why the run has no validations, or empty.
        usual: What is usual in its training hearts; only on the first rank.
    """

    training: Training
    dataset: DataSet
    log: RunLog
    no_validation: str
    usual: UsualHeart | None


@contextmanager
def _ready(
    data: Path, out: Path, recipe: Recipe, resume: bool, fold: int | None, logs: LogOptions
) -> Iterator[_Session]:
    """Set up a run and check it: data, folder, loggers, a step, memory, disk space.

    Every rank does the same, except that only the first one writes.
    """
    with (
        subnormals_as_zero(),  # before PyTorch starts its threads
        noticing_signals(_say_stopping) as request,
        joined_ranks() as ranks,
        ExitStack() as entered,
    ):
        # 0. Refuse the wrong folder or recipe at once: what follows takes seconds.
        ranks.on_first_rank(lambda: check_folder(out, recipe, resume))
        # 1. Model, batches and teacher. All ranks seed alike, and so start with the same weights.
        with waiting("reading the data set"):
            dataset, damaged = DataSet.read(data).without_damaged(fold)
            check_weights_fit(recipe.model, len(dataset.structures))
            check_batch_fits(recipe.model, recipe.batch, ranks.device)
        with waiting("measuring a step"):
            check_step_fits(recipe.step(len(dataset.structures)), ranks.device)
        with waiting("making the model"):
            torch.manual_seed(recipe.training.seed)
            model = recipe.model.build(len(dataset.structures))
            others = OtherModels.of(recipe)
            batches = _batches(dataset, fold, recipe, others)
            started = others.start_from(model, batches)
            teacher = others.as_teacher(batches, recipe, ranks.device)
        per_step = recipe.batch.hearts * recipe.training.passes * ranks.count
        spec = recipe.training.in_steps(len(batches.files), per_step)
        observers: list[Callable[[Entry], None]] = []
        log = RunLog(out / "train.log")

        contents = contents_of(batches, teacher, others.start)
        of_run = RunData(str(dataset.folder.resolve()), fold, contents)

        # 2. The run's folder and loggers, on the first rank only. A failure there ends all ranks.
        def begin() -> TrainingSpec:
            entered.enter_context(written_by_one(out))
            begun = (check_run if resume else begin_run)(out, recipe, of_run)
            write_data(out, of_run)  # the folder may have another place now
            entered.enter_context(log.of_errors())
            if logs != LogOptions():
                named = out.resolve().name, recipe.to_dict(), logs.tensorboard, logs.wandb
                observers.append(entered.enter_context(loggers(out, *named, log.warn)))
            for name, why in damaged.items():
                log.warn(f"heart {name} is left out: {why}")
            log.tell(size(batches, model, ranks, recipe.training.precision))
            if started and not resume:
                log.tell(started)
            return begun

        former = ranks.on_first_rank(begin).in_steps(len(batches.files), per_step).steps
        # 3. The run, at its start or at its checkpoint, and a trial step.
        validator = None
        if spec.validate_every:
            with waiting("reading the validation hearts"):
                from vecsetx.evaluation.validation import make_validator

                validator = make_validator(dataset, fold, recipe, batches.reference)
        run = Run(
            folder=out,
            model=model,
            batches=batches,
            objective=recipe.objective,
            optimizer=recipe.optimizer,
            training=spec,
            validator=validator,
            observers=observers,
            warn=log.warn,
            ranks=ranks,
            request=request,
            teacher=teacher,
            identity=identity_of(recipe, of_run),
            former_steps=former if former != spec.steps else None,
        )
        usual = None
        if ranks.first:
            usual = UsualHeart.of(batches.structures, batches.files, batches.annotated)
        no_validation = why_no_validation(dataset, fold, spec)
        session = _Session(Training(run, resume), dataset, log, no_validation, usual)
        _try(session, recipe)
        yield session


def _say_stopping(number: signal.Signals) -> None:
    """Say at once that a run stops: its step may go on for long."""
    again = "; Ctrl-C again stops now, without it" if number == signal.SIGINT else ""
    text = f"{number.name}: stopping after this step, with a checkpoint{again}"
    if is_first_rank():
        # In a thread, as the signal may have come in the midst of printing.
        threading.Thread(target=warn, args=(text,)).start()


@waiting("trying the first step")
def _try(session: _Session, recipe: Recipe) -> None:
    """Run the preflight; say what it found, and what of the recipe does not fit the run."""
    training = session.training
    if training.run.ranks.first and (warning := long_ramp(training.run, recipe)):
        session.log.warn(warning)
    checked = preflight(training)
    if training.run.ranks.first:
        for line in summary(training, checked, recipe, session.no_validation):
            session.log.tell(line)


@contextmanager
def _displayed(session: _Session) -> Iterator[None]:
    """Display and log a run's progress while the block runs; only on the first rank."""
    run = session.training.run
    if not run.ranks.first:
        yield
        return
    with training_display(run.training.steps, session.log) as display:
        run.observers.append(display.entry)
        run.counters.append(display.step)
        if 0 < session.training.progress.step < run.training.steps:
            display.step(session.training.progress.step)  # where a resumed run goes on
        yield


def _trained(session: _Session, recipe: Recipe, fold: int | None, done: int) -> TrainedModel:
    run, dataset = session.training.run, session.dataset
    return TrainedModel(
        network=run.model.cpu().eval(),
        structures=dataset.structures,
        label_set=dataset.label_set(),
        mm_per_unit=run.batches.files[0].info.frame.mm_per_unit,
        truncation=recipe.objective.truncation,
        points=recipe.batch.points,
        provenance={
            "version": __version__,
            "torch": torch.__version__,
            "data": str(dataset.folder.resolve()),
            "fold": fold,
            "hearts": [file.info.name for file in run.batches.files],
            "seed": recipe.training.seed,
            "steps": done,
            "teacher": _resolved(recipe.training.teacher),
            "start": _resolved(recipe.training.start),
        },
        usual=session.usual,
        partial=recipe.partial.hides,
        pose=run.batches.reference,
    )


def _resolved(model: str | None) -> str | None:
    """Return the absolute path of a local model; other names are those of the Hub."""
    return str(Path(model).resolve()) if model and Path(model).exists() else model


def _batches(
    dataset: DataSet, fold: int | None, recipe: Recipe, others: OtherModels
) -> TrainingBatches:
    hearts, seed = dataset.of_split("train", fold), recipe.training.seed
    reference = None
    if recipe.batch.pose == "anatomy":
        reference = others.pose or choose_reference(dataset, hearts)
    batches = TrainingBatches(
        dataset, hearts, recipe.batch, recipe.augment, seed, recipe.partial, reference
    )
    _check_reach(batches, recipe.objective.truncation)
    return batches


def _check_reach(batches: TrainingBatches, truncation: float) -> None:
    for file in batches.files:
        needed_mm = file.info.frame.length_to_mm(truncation)
        if needed_mm > file.info.reach_mm:
            raise InputError(
                f"{file.path}: has distances up to {file.info.reach_mm:g} mm, but "
                f"objective.truncation needs {needed_mm:g} mm; prepare with a larger --reach, or "
                "lower objective.truncation"
            )
