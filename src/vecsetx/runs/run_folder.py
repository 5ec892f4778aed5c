"""The folder of a training run: begun, checked before its run is resumed, or asked what is next."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from vecsetx.cohort.out_folder import check_out
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.model.saved import TrainedModel
from vecsetx.model.weights import weights_sha256
from vecsetx.plain_data import PlainDataError, read_json, validated, validator
from vecsetx.recipe import Recipe, read_changes
from vecsetx.schemas import check_schema, schema_of
from vecsetx.terminal.next_step import typed, unused_folder
from vecsetx.training.journal import read_journal
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.teacher import Teacher

__all__ = [
    "RunData",
    "begin_run",
    "check_folder",
    "check_run",
    "contents_of",
    "identity_of",
    "is_finished",
    "next_command",
    "write_data",
    "write_recipe",
]

_JOURNAL = "metrics.jsonl"

_LENGTH = ("training.steps", "training.epochs")
"""The options that a resumed run may change."""

_SCHEMA = 1
"""Version of ``data.json``; other versions are rejected."""

_LISTED = 3
"""Number of options that are listed where recipes differ."""


@dataclass(frozen=True, slots=True)
class RunData:
    """The data of a run, as in its ``data.json``.

    Attributes:
        folder: The data set's folder, an absolute path.
        fold: The fold that is held out; None for the data set's own split.
        contents: The hashes of its data, as of :func:`contents_of`.
    """

    folder: str
    fold: int | None
    contents: dict[str, str]

    @classmethod
    def of(cls, run: Path) -> "RunData | None":
        """Read the data of a run; None if its folder does not say them.

        Raises:
            InputError: ``data.json`` is damaged.
        """
        path = run / "data.json"
        try:
            if not path.exists():
                return None
            content = read_json(path)
            check_schema(path, schema_of(content), _SCHEMA, "begin another run")
            return validated(validator(RunData), content)
        except (OSError, PlainDataError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); begin another run, with another --out"
            ) from error

    @property
    def is_there(self) -> bool:
        """Whether the data set is still in its folder."""
        return DataSet.is_at(Path(self.folder))


def check_folder(out: Path, recipe: Recipe, resume: bool) -> None:
    """Check that a run can begin in a folder, or be resumed with a recipe.

    Raises:
        InputError: There is a run and none to resume, or none and one to resume, or this was
            started with a recipe that differs in more than the length.
    """
    check_out(out, own="recipe.yaml")
    if not resume and (out / "checkpoint.pt").exists():
        raise InputError(f"{out}: already contains a run; add --resume, or choose another --out")
    if resume and not ((out / "recipe.yaml").exists() and (out / "data.json").exists()):
        raise InputError(f"{out}: no run to resume (no recipe.yaml); train without --resume")
    if resume:
        _former_length(out / "recipe.yaml", recipe)


def begin_run(out: Path, recipe: Recipe, data: RunData) -> TrainingSpec:
    """Start a run's folder: ``recipe.yaml``.

    Args:
        out: The folder.
        recipe: The run's recipe.
        data: Its data, which :func:`write_data` writes.

    Returns:
        The recipe's training options.

    Raises:
        InputError: It already contains a run.
    """
    check_folder(out, recipe, resume=False)
    write_recipe(out, recipe)
    return recipe.training


def write_data(out: Path, data: RunData) -> None:
    """Write a run's ``data.json``."""
    write_json(out / "data.json", {"schema": _SCHEMA, **asdict(data)})


def write_recipe(out: Path, recipe: Recipe) -> None:
    """Write a run's ``recipe.yaml``."""
    write_text(out / "recipe.yaml", yaml.safe_dump(recipe.to_dict(), sort_keys=False))


def check_run(out: Path, recipe: Recipe, data: RunData) -> TrainingSpec:
    """Check that a run can be resumed with this recipe and data. Nothing is written.

    Args:
        out: Its folder.
        recipe: The recipe with which it is to continue.
        data: The data with which it is to continue.

    Returns:
        The recipe's training options with the length that the run had so far.

    Raises:
        InputError: It cannot (:func:`check_folder`), or was started with other hearts.
    """
    check_folder(out, recipe, resume=True)
    before_data = RunData.of(out)
    if before_data is None or before_data.contents != data.contents:
        raise InputError(
            f"{out / 'data.json'}: the run was started with other hearts, with hearts prepared "
            "differently or other variants, or with another teacher or other weights to start "
            "from; resume with the same, or choose another --out"
        )
    return replace(recipe.training, **_former_length(out / "recipe.yaml", recipe))


def _former_length(recipe_file: Path, recipe: Recipe) -> dict[str, Any]:
    """Return the options of a run's length so far; raise InputError if others were changed."""
    # Options that a later version added have their usual values in a run that was begun before.
    begun = Recipe().changed(read_changes(recipe_file), str(recipe_file))
    before, now = _plain(begun), _plain(recipe)
    keys = [key for key in now if before[key] != now[key]]
    if changed := [key for key in keys if key not in _LENGTH]:
        differences = ", ".join(
            f"{key} {json.dumps(before[key])}, now {json.dumps(now[key])}"
            for key in changed[:_LISTED]
        )
        more = f", and {len(changed) - _LISTED} more" if changed[_LISTED:] else ""
        raise InputError(
            f"{recipe_file}: the run was started with another recipe ({differences}{more}); resume "
            "with the same preset, --config and overrides (only training.steps may grow), or "
            "choose another --out"
        )
    return {key.partition(".")[2]: before[key] for key in _LENGTH}


def contents_of(
    batches: TrainingBatches, teacher: Teacher | None, start: TrainedModel | None
) -> dict[str, str]:
    """Return hashes of a run's data, which must be the same on resuming.

    Name of each heart, and of each of its variants → hash of the description of its samples; and
    the hashes of other models' weights.
    """
    described = {
        file.info.name: json.dumps([asdict(file.info), annotated])
        for versions, annotated in zip(batches.versions, batches.annotated, strict=True)
        for file in versions
    }
    found = {name: sha256(text.encode()).hexdigest() for name, text in described.items()}
    networks = {"training.teacher": teacher, "training.start": start}
    return found | {k: weights_sha256(of.network) for k, of in networks.items() if of}


def identity_of(recipe: Recipe, data: RunData) -> str:
    """Return a hash of all that a run depends on but its length, for its checkpoints.

    Options at their usual values are left out, so that a later version can add some and still
    resume the run.
    """
    options, usual = _plain(recipe), _plain(Recipe())
    kept = {k: value for k, value in options.items() if k not in _LENGTH and value != usual[k]}
    return sha256(json.dumps([kept, data.fold, data.contents], sort_keys=True).encode()).hexdigest()


def is_finished(run: Path) -> bool:
    """Return whether a run has done all its steps; by epochs, whether its model was saved."""
    training, journal = _training(run), run / _JOURNAL
    last = max((row["step"] for row in read_journal(journal)), default=0) if journal.exists() else 0
    saved = (run / "model" / "model.json").exists()
    return saved and bool(training.epochs or last >= training.steps)


def _training(run: Path) -> TrainingSpec:
    return Recipe().changed(read_changes(run / "recipe.yaml"), str(run)).training


def next_command(run: Path, finished: bool, faults: bool = False, least: int = 0) -> str:
    """Return what to type next: evaluate a finished run, go on with another, or train again.

    Args:
        run: Its folder.
        finished: Whether it has done all its steps.
        faults: Whether its diagnosis names an option to change.
        least: Number of steps that it needs to be judged.

    Raises:
        InputError: ``data.json`` is damaged.
    """
    data = RunData.of(run)
    where = Path(data.folder) if data and data.is_there else "DATA"
    fold = [] if data is None or data.fold is None else ["--fold", data.fold]
    if faults:
        again = f"{run.resolve().name}-2"
        told = typed("train", where, "--out", run.with_name(again), *fold)
        return f"{told} {_own_recipe(run)} OPTION=VALUE, with the option named above"
    if finished:
        return typed("evaluate", where, "--model", run, *fold, "--out", unused_folder("scores"))
    told = typed("train", where, "--out", run, *fold)
    told += f" {'--resume' if (run / 'checkpoint.pt').exists() else _own_recipe(run)}"
    training = _training(run)
    too_short = training.epochs is None and training.steps < least
    return f"{told} training.steps={least}" if too_short else told


def _own_recipe(run: Path) -> str:
    return shlex.join(["--config", str(run / "recipe.yaml")])


def _plain(recipe: Recipe) -> dict[str, Any]:
    """All options, with lists in place of tuples, as a file holds them."""
    return _options(json.loads(json.dumps(recipe.to_dict())))


def _options(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """All options, as ``part.option`` → value."""
    return {
        f"{part}.{name}": value
        for part, options in recipe.items()
        if isinstance(options, Mapping)
        for name, value in options.items()
    }
