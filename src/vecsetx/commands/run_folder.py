"""The folder of a training run: begun, or checked before its run is resumed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from vecsetx.data.batches import TrainingBatches
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.model.saved import weights_sha256
from vecsetx.plain_data import PlainDataError, read_json
from vecsetx.recipe import Recipe, read_changes
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.teacher import Teacher

__all__ = ["begin_run", "check_run", "contents_of", "write_recipe"]

_LENGTH = ("training.steps", "training.epochs")
"""The options that a resumed run may change."""


def begin_run(out: Path, recipe: Recipe, contents: dict[str, str]) -> TrainingSpec:
    """Start a run's folder: ``recipe.yaml`` and ``data.json``.

    Args:
        out: The folder.
        recipe: The run's recipe.
        contents: The hashes of its data, as of :func:`contents_of`.

    Returns:
        The recipe's training options.

    Raises:
        InputError: It already contains a run.
    """
    if (out / "checkpoint.pt").exists():
        raise InputError(f"{out}: already contains a run; add --resume, or choose another --out")
    write_recipe(out, recipe)
    write_json(out / "data.json", contents)
    return recipe.training


def write_recipe(out: Path, recipe: Recipe) -> None:
    """Write a run's ``recipe.yaml``."""
    write_text(out / "recipe.yaml", yaml.safe_dump(recipe.to_dict(), sort_keys=False))


def check_run(out: Path, recipe: Recipe, contents: dict[str, str]) -> TrainingSpec:
    """Check that a run can be resumed with this recipe and data. Nothing is written.

    Args:
        out: Its folder.
        recipe: The recipe with which it is to continue.
        contents: The hashes of its data, as of :func:`contents_of`.

    Returns:
        The recipe's training options with the length that the run had so far.

    Raises:
        InputError: There is no run, it was started with other hearts, or with a recipe that differs
            in more than the length.
    """
    recipe_file, data_file = out / "recipe.yaml", out / "data.json"
    if not (recipe_file.exists() and data_file.exists()):
        raise InputError(f"{out}: no run to resume (no recipe.yaml); train without --resume")
    # Both through YAML, which turns tuples into lists.
    before = _options(read_changes(recipe_file))
    now = _options(yaml.safe_load(yaml.safe_dump(recipe.to_dict())))
    keys = [key for key in before | now if before.get(key) != now.get(key)]
    if changed := [key for key in keys if key not in _LENGTH]:
        differences = ", ".join(
            f"{key} {json.dumps(before.get(key))}, now {json.dumps(now.get(key))}"
            for key in changed
        )
        raise InputError(
            f"{recipe_file}: the run was started with another recipe ({differences}); resume with "
            "the same preset, --config and overrides (only training.steps may grow), or choose "
            "another --out"
        )
    if _read_contents(data_file) != contents:
        raise InputError(
            f"{data_file}: the run was started with other hearts, with hearts prepared "
            "differently, or with another teacher; resume with the same, or choose another --out"
        )
    length = {key.partition(".")[2]: before[key] for key in _LENGTH if key in before}
    return replace(recipe.training, **length)


def contents_of(batches: TrainingBatches, teacher: Teacher | None) -> dict[str, str]:
    """Return hashes of a run's data, which must be the same on resuming.

    Each heart's name → hash of the description of its samples; and the hash of a teacher's weights.
    """
    described = {
        file.info.name: json.dumps([asdict(file.info), annotated])
        for file, annotated in zip(batches.files, batches.annotated, strict=True)
    }
    found = {name: sha256(text.encode()).hexdigest() for name, text in described.items()}
    return found | ({"training.teacher": weights_sha256(teacher.network)} if teacher else {})


def _read_contents(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, PlainDataError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); begin another run, with another --out"
        ) from error


def _options(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """All options, as ``part.option`` → value."""
    return {
        f"{part}.{name}": value
        for part, options in recipe.items()
        if isinstance(options, Mapping)
        for name, value in options.items()
    }
