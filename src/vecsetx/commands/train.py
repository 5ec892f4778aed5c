"""``vecsetx train``: a data set to a trained model."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
import yaml

from vecsetx._version import __version__
from vecsetx.commands.diagnose import diagnose_run
from vecsetx.commands.progress import console, warn
from vecsetx.commands.run_log import RunLog
from vecsetx.commands.training_display import training_display
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.evaluation.validation import make_validator
from vecsetx.files import write_json, write_text
from vecsetx.model.saved import TrainedModel, parameter_count, weights_sha256
from vecsetx.recipe import Recipe
from vecsetx.training.journal import Entry
from vecsetx.training.loggers import loggers
from vecsetx.training.loop import Training
from vecsetx.training.meters import GB
from vecsetx.training.preflight import Preflight, preflight
from vecsetx.training.ranks import joined_ranks
from vecsetx.training.run import Run
from vecsetx.training.stopping import noticing_signals
from vecsetx.training.teacher import Teacher
from vecsetx.workers.lock import only_writer


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where a run's figures go besides ``metrics.jsonl``.

    Attributes:
        tensorboard: Into ``tensorboard/`` in the run's folder.
        wandb: Into this project of Weights & Biases; None for none.
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
    ``checkpoint.pt``, with validations ``best.pt``, in ``model/`` the trained model and, in
    ``curves.html``, how it went, which is printed, too. Started by ``torchrun``, all its processes
    train together.

    Args:
        data: A prepared data set.
        out: The run's folder.
        recipe: Every choice.
        resume: Go on from the folder's checkpoint, with the recipe it was begun with.
        stop_after: Stop with a checkpoint after this step.
        fold: The fold of the data set to leave out; None for its own split.
        logs: Where figures go besides.

    Raises:
        InputError: No usable data set, the folder holds another run, there is nothing to resume, or
            something else is not in order before the first step.
        DivergedError: The loss is no longer a number.
        StoppedError: The process was asked to stop; the run can be resumed.
    """
    with _ready(data, out, recipe, resume, fold, logs) as training, _shown(training):
        done = training.until(stop_after or training.run.training.steps)
        training.keep()
        trained = _trained(training.run, recipe, data, fold, done)
        if training.run.ranks.first:
            trained.save_pretrained(out / "model")
    if training.run.ranks.first:
        try:
            diagnose_run(out)
        except OSError as error:  # the model is there; a page that cannot be written is no failure
            warn(f"{out}: no curves.html ({error.strerror or error})")
    return trained


def see_all_in_order(
    data: Path, out: Path, recipe: Recipe, resume: bool, fold: int | None, logs: LogOptions
) -> None:
    """Do what a training run does before its first step, which takes seconds, and nothing else.

    Raises:
        InputError: What is not in order, as :func:`train_model` would find.
    """
    with _ready(data, out, recipe, resume, fold, logs):
        pass


@contextmanager
def _ready(
    data: Path, out: Path, recipe: Recipe, resume: bool, fold: int | None, logs: LogOptions
) -> Iterator[Training]:
    """A run that is in order: data, folder, loggers, memory, room; on every rank alike."""
    with noticing_signals() as request, joined_ranks() as ranks, ExitStack() as entered:
        dataset = DataSet.read(data)
        torch.manual_seed(recipe.training.seed)
        model = recipe.model.build(len(dataset.structures))
        hearts = dataset.of_split("train", fold)
        seed = recipe.training.seed
        batches = TrainingBatches(
            dataset, hearts, recipe.batch, recipe.augment, seed, recipe.partial
        )
        _check_reach(batches, recipe.objective.truncation)
        teacher = _teacher(batches, recipe, ranks.device)
        per_step = recipe.batch.hearts * recipe.training.passes * ranks.count
        spec = recipe.training.in_steps(len(hearts), per_step)
        observers: list[Callable[[Entry], None]] = []
        log = RunLog(out / "train.log")

        def begin() -> None:
            entered.enter_context(only_writer(out))
            _open_run(out, recipe, _contents(batches, teacher), resume)
            entered.enter_context(log.of_errors())
            if logs != LogOptions():
                named = out.resolve().name, recipe.to_dict(), logs.tensorboard, logs.wandb
                observers.append(entered.enter_context(loggers(out, *named, log.warn)))

        ranks.on_first_rank(begin)
        run = Run(
            folder=out,
            model=model,
            batches=batches,
            objective=recipe.objective,
            optimizer=recipe.optimizer,
            training=spec,
            validator=make_validator(dataset, fold, recipe) if spec.validate_every else None,
            observers=observers,
            warn=log.warn,
            ranks=ranks,
            request=request,
            teacher=teacher,
        )
        training = Training(run, resume)
        checked = preflight(training)
        if ranks.first:
            log.write(_tell(run, checked))
        yield training


@contextmanager
def _shown(training: Training) -> Iterator[None]:
    """Show how a run goes while it does."""
    run = training.run
    if not run.ranks.first:
        yield
        return
    with training_display(run.training.steps, RunLog(run.folder / "train.log")) as observer:
        run.observers.append(observer)
        yield


def _tell(run: Run, checked: Preflight) -> str:
    """Print what a run is about to do, and what it takes; returns that."""
    memory_gb = (checked.memory_bytes + checked.state_bytes) / GB
    ranks = run.ranks
    text = (
        f"training on {len(run.batches.files)} hearts: {len(run.batches.structures)} structures, "
        f"{parameter_count(run.model) / 1e6:.2f} M weights, {ranks.count} × {ranks.device.type}\n"
        f"in order: a step of {run.hearts_per_step} hearts took {checked.seconds:.2g} s, about "
        f"{memory_gb:.2g} GB each process; files may come to {checked.room_bytes / GB:.2g} GB"
    )
    console.print(text, markup=False, soft_wrap=True)
    return text


def _trained(run: Run, recipe: Recipe, data: Path, fold: int | None, done: int) -> TrainedModel:
    dataset = DataSet.read(data)
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
            "data": str(data.resolve()),
            "fold": fold,
            "hearts": [file.info.name for file in run.batches.files],
            "seed": recipe.training.seed,
            "steps": done,
            "teacher": _named(recipe.training.teacher),
        },
    )


def _named(model: str | None) -> str | None:
    """A model's folder wherever it is read from; other names are of the Hugging Face Hub."""
    return str(Path(model).resolve()) if model and Path(model).exists() else model


def _teacher(batches: TrainingBatches, recipe: Recipe, device: torch.device) -> Teacher | None:
    name = recipe.training.teacher
    if name is None:
        return None
    if all(set(batches.structures) == set(annotated) for annotated in batches.annotated):
        raise InputError(
            f"training.teacher {name}: all hearts are annotated with all structures, there is "
            "nothing to teach; leave it out"
        )
    try:
        trained = TrainedModel.from_pretrained(name)
        teacher = Teacher(trained.network, trained.structures, batches.structures, device)
    except InputError as error:
        raise InputError(f"training.teacher {name}: {error}") from error
    mm_per_unit, truncation = batches.files[0].info.frame.mm_per_unit, recipe.objective.truncation
    if trained.mm_per_unit != mm_per_unit or trained.truncation < truncation:
        raise InputError(
            f"training.teacher {name}: has {trained.mm_per_unit:g} mm per unit and distances up to "
            f"{trained.truncation:g} units; the data have {mm_per_unit:g}, and the objective's "
            f"truncation asks for {truncation:g}"
        )
    return teacher


def _check_reach(batches: TrainingBatches, truncation: float) -> None:
    for file in batches.files:
        asked_mm = file.info.frame.length_to_mm(truncation)
        if asked_mm > file.info.reach_mm:
            raise InputError(
                f"{file.path}: knows distances up to {file.info.reach_mm:g} mm, the objective's "
                f"truncation asks for {asked_mm:g} mm; prepare with a longer --reach, or lower "
                "objective.truncation"
            )


def _contents(batches: TrainingBatches, teacher: Teacher | None) -> dict[str, str]:
    """What a run learns from.

    Each heart's name with the hash of its samples' description, and that of a teacher's weights.
    """
    described = {
        file.info.name: json.dumps([asdict(file.info), annotated])
        for file, annotated in zip(batches.files, batches.annotated, strict=True)
    }
    found = {name: sha256(text.encode()).hexdigest() for name, text in described.items()}
    return found | ({"training.teacher": weights_sha256(teacher.network)} if teacher else {})


def _open_run(out: Path, recipe: Recipe, contents: dict[str, str], resume: bool) -> None:
    """Begin a run's folder, or see that the one there can be resumed with this recipe and data."""
    recipe_file, data_file = out / "recipe.yaml", out / "data.json"
    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False)
    if not resume:
        if (out / "checkpoint.pt").exists():
            raise InputError(f"{out}: holds a run already; add --resume, or choose another --out")
        write_text(recipe_file, text)
        write_json(data_file, contents)
        return
    if not (recipe_file.exists() and data_file.exists()):
        raise InputError(f"{out}: no run to resume (no recipe.yaml); train without --resume")
    if yaml.safe_load(recipe_file.read_text()) != yaml.safe_load(text):
        raise InputError(
            f"{recipe_file}: the run was begun with another recipe; resume with the same preset, "
            "--config and overrides, or choose another --out"
        )
    if json.loads(data_file.read_text()) != contents:
        raise InputError(
            f"{data_file}: the run was begun on other hearts, on hearts prepared otherwise, or "
            "with a teacher of other weights; resume with the same, or choose another --out"
        )
