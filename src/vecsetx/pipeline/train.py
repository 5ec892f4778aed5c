"""``vecsetx train``: a data set to a trained model."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path

import torch
import yaml

from vecsetx import __version__
from vecsetx.data.dataset import DataSet
from vecsetx.data.draws import Draws
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.model.saved import TrainedModel, parameter_count
from vecsetx.pipeline.diagnose import diagnose_run
from vecsetx.pipeline.lock import only_writer
from vecsetx.pipeline.progress import Steps, console, steps
from vecsetx.pipeline.validate import grid_validator
from vecsetx.recipe import Recipe
from vecsetx.training.journal import Entry
from vecsetx.training.loop import Run, train
from vecsetx.training.ranks import Ranks, joined_ranks


def train_model(
    data: Path,
    out: Path,
    recipe: Recipe,
    resume: bool = False,
    stop_after: int | None = None,
    fold: int | None = None,
) -> TrainedModel:
    """Train a model on the training hearts of a data set.

    The run's folder receives ``recipe.yaml``, ``data.json``, ``metrics.jsonl``, ``checkpoint.pt``,
    with validations ``best.pt``, in ``model/`` the trained model and, in ``curves.html``, how it
    went, which is printed, too. Started by ``torchrun``, all its processes train together.

    Args:
        data: A prepared data set.
        out: The run's folder.
        recipe: Every choice.
        resume: Go on from the folder's checkpoint, with the recipe it was begun with.
        stop_after: Stop with a checkpoint after this step.
        fold: The fold of the data set to leave out; None for its own split.

    Raises:
        InputError: No usable data set, the folder holds another run, or there is nothing to resume.
        DivergedError: The loss is no longer a number.
        StoppedError: The process was asked to stop; the run can be resumed.
    """
    with joined_ranks() as ranks:
        return _train(data, out, recipe, resume, stop_after, fold, ranks)


def _train(
    data: Path,
    out: Path,
    recipe: Recipe,
    resume: bool,
    stop_after: int | None,
    fold: int | None,
    ranks: Ranks,
) -> TrainedModel:
    dataset = DataSet.read(data)
    torch.manual_seed(recipe.training.seed)
    model = recipe.model.build(len(dataset.structures))
    hearts = dataset.of_split("train", fold)
    draws = Draws(
        dataset, hearts, recipe.draws, recipe.augment, recipe.model.anchors, recipe.training.seed
    )
    _check_reach(draws, recipe.objective.truncation)
    validator = None
    if recipe.training.validate_every:
        validator = grid_validator(dataset, fold, recipe.draws.points, recipe.objective.truncation)
    with _written_by_one(out, ranks):
        _together(ranks, partial(_open_run, out, recipe, _contents(draws), resume))
        if ranks.first:
            console.print(
                f"training on {len(hearts)} hearts: {len(dataset.structures)} structures, "
                f"{parameter_count(model) / 1e6:.2f} M weights, {ranks.count} × {ranks.device.type}"
            )
        with steps("training", recipe.training.steps) if ranks.first else nullcontext() as shown:
            run = Run(
                folder=out,
                model=model,
                draws=draws,
                objective=recipe.objective,
                optimizer=recipe.optimizer,
                training=recipe.training,
                validator=validator,
                observer=_Display(shown) if shown else lambda _: None,
                warn=lambda text: console.print(f"[yellow]{text}[/]", markup=True),
                ranks=ranks,
            )
            done = train(run, resume, stop_after)
    trained = TrainedModel(
        network=model.cpu().eval(),
        structures=dataset.structures,
        label_set=dataset.label_set(),
        mm_per_unit=draws.files[0].info.frame.mm_per_unit,
        truncation=recipe.objective.truncation,
        points=recipe.draws.points,
        provenance={
            "version": __version__,
            "torch": torch.__version__,
            "data": str(data.resolve()),
            "fold": fold,
            "hearts": [heart.name for heart in hearts],
            "seed": recipe.training.seed,
            "steps": done,
        },
    )
    if ranks.first:
        trained.save_pretrained(out / "model")
        try:
            diagnose_run(out)
        except OSError as error:  # the model is there; a page that cannot be written is no failure
            told = f"{out}: no curves.html ({error.strerror or error})"
            console.print(told, style="yellow", markup=False, soft_wrap=True)
    return trained


@contextmanager
def _written_by_one(out: Path, ranks: Ranks) -> Iterator[None]:
    """Let no other run write into this folder."""
    with only_writer(out) if ranks.first else nullcontext():
        yield


def _together(ranks: Ranks, work: Callable[[], None]) -> None:
    """Have the first rank do something; all fail if it does."""
    error = None
    if ranks.first:
        try:
            work()
        except InputError as found:
            error = str(found)
    if (first := ranks.gathered(error)[0]) is not None:
        raise InputError(first)


def _check_reach(draws: Draws, truncation: float) -> None:
    for file in draws.files:
        asked_mm = file.info.frame.length_to_mm(truncation)
        if asked_mm > file.info.reach_mm:
            raise InputError(
                f"{file.path}: knows distances up to {file.info.reach_mm:g} mm, the objective's "
                f"truncation asks for {asked_mm:g} mm; prepare with a longer --reach, or lower "
                "objective.truncation"
            )


class _Display:
    """Shows the last loss and the last grid Dice beside the count of steps."""

    def __init__(self, progress: Steps) -> None:
        self._progress = progress
        self._loss = self._grid_dice = ""

    def __call__(self, entry: Entry) -> None:
        if entry.grid_dice is not None:
            self._grid_dice = f"grid Dice {entry.grid_dice:.3f}"
        elif entry.loss is not None:
            self._loss = f"loss {entry.loss:.4f}"
        self._progress.reach(entry.step, f"{self._loss} {self._grid_dice}".strip())


def _contents(draws: Draws) -> dict[str, str]:
    """What a run learns from: each heart's name and the hash of its samples' description."""
    described = {
        file.info.name: json.dumps([asdict(file.info), annotated])
        for file, annotated in zip(draws.files, draws.annotated, strict=True)
    }
    return {name: sha256(text.encode()).hexdigest() for name, text in described.items()}


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
            f"{data_file}: the run was begun on other hearts, or on hearts prepared otherwise; "
            "resume with the same data, or choose another --out"
        )
