"""Recipes: all options of a training run, gathered from the modules that define them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vecsetx.data.augment import AugmentSpec
from vecsetx.data.draw import BatchSpec
from vecsetx.data.partial import PartialSpec
from vecsetx.errors import InputError
from vecsetx.model.vecset import ModelSpec
from vecsetx.plain_data import PlainDataError, first_problem, parse_yaml, read_yaml, validator
from vecsetx.suggestions import did_you_mean, nearest, one_of, shown
from vecsetx.training.objective import ObjectiveSpec
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.step_spec import StepSpec

__all__ = ["Recipe", "check_lengths", "overrides_like", "parse_overrides", "read_changes"]

_ALIKE = 0.7
"""How alike an option must be to one that does not exist, by difflib's ratio, to be suggested."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All options of a training run. Each part is documented in its own class.

    Raises:
        InputError: The model has more anchored latents than a batch has points per heart.
    """

    model: ModelSpec = field(default_factory=ModelSpec)
    batch: BatchSpec = field(default_factory=BatchSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    partial: PartialSpec = field(default_factory=PartialSpec)
    objective: ObjectiveSpec = field(default_factory=ObjectiveSpec)
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)

    def __post_init__(self) -> None:
        if self.model.anchors > self.batch.points:
            raise InputError(
                f"model.latents {self.model.latents} are anchored at surface points, of which "
                f"batch.points gives only {self.batch.points}; lower model.latents, or raise "
                "batch.points"
            )

    def changed(self, changes: Mapping[Any, Any], source: str) -> "Recipe":
        """This recipe with some options replaced.

        Args:
            changes: Values by part and option, as ``{"model": {"width": 256}}``.
            source: Their origin, for error messages.

        Raises:
            InputError: An option does not exist, or a value does not fit it.
        """
        _refuse_former_parts(changes, source)
        merged = asdict(self)
        for part, values in changes.items():
            if part not in merged:
                hint = _hint(str(part)) or did_you_mean(str(part), merged, _ALIKE)
                raise InputError(f"{source}: unknown part {shown(part)}; {hint}")
            if not isinstance(values, Mapping):
                raise InputError(f"{source}: {part} needs options, such as {_example(part)}")
            for name, value in values.items():
                if name not in merged[part]:
                    key = f"{part}.{name}"
                    hint = _hint(key) or did_you_mean(str(name), merged[part], _ALIKE)
                    raise InputError(f"{source}: unknown option {shown(key)}; {hint}")
                merged[part][name] = value
        # Types and ranges are checked here, and by each part itself (a value_error).
        try:
            return validator(Recipe)(merged)
        except ValidationError as error:
            first = error.errors()[0]
            where, what = first_problem(error)
            if first["type"] == "value_error":
                raise InputError(f"{source}: {what}") from error
            needs = _memory(where, merged) if first["type"] == "less_than_equal" else ""
            raise InputError(f"{source}: {where}={first['input']!r}: {what}{needs}") from error

    def step(self, structure_count: int) -> StepSpec:
        """Return what determines the memory of a training step for K structures."""
        return StepSpec(
            self.model,
            self.batch,
            self.objective,
            self.optimizer,
            self.training,
            structure_count,
        )

    def to_dict(self) -> dict[str, Any]:
        """This recipe as plain data, for ``recipe.yaml``."""
        return asdict(self)


_GB = 10**9


def _memory(key: str, options: Mapping[str, Mapping[str, Any]]) -> str:
    """Say the memory that a recipe takes at least, if the option is one that decides it.

    Counted are the weights of one matrix per layer, or the positions and normals of a batch.

    Args:
        key: The option, as ``part.option``.
        options: All options by part, of which this one is out of its range.
    """
    model, batch = options["model"], options["batch"]
    if key in ("model.width", "model.layers"):
        numbers = model["width"] ** 2 * max(model["layers"], 1)
    elif key in ("batch.hearts", "batch.points", "batch.surface", "batch.near", "batch.volume"):
        points = sum(batch[name] for name in ("points", "surface", "near", "volume"))
        numbers = 6 * batch["hearts"] * points
    else:
        return ""
    return f"; it would take over {4 * numbers // _GB:,} GB of memory"


def read_changes(path: Path) -> dict[Any, Any]:
    """Read changes to a recipe, or a whole one, from a YAML file.

    Raises:
        InputError: The file cannot be read, or is not a mapping.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; give --config a YAML file with changes to the preset, such as "
            "{training: {steps: 3000}}"
        )
    try:
        data = read_yaml(path)
    except (OSError, PlainDataError) as error:
        raise InputError(
            f"{path}: cannot be read as YAML ({error}); correct or replace it"
        ) from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: not a recipe; write a mapping such as {{model: {{width: 256}}}}")
    _refuse_former_parts(data, str(path))
    return data


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Parse the command line's overrides, ``part.option=value``; values are read as YAML.

    Raises:
        InputError: An override does not have that form, or there is no such option.
    """
    changes: dict[str, dict[str, Any]] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        part, dot, name = key.partition(".")
        _refuse_former_parts({part: {}}, "command line")
        if not (equals and dot and part and name):
            meant = overrides_like(key, value)
            remedy = " or ".join(meant) if meant else "part.option=value, as in model.width=256"
            raise InputError(f"{word!r}: not an override; write {remedy}")
        if key not in _defaults() and (meant := overrides_like(key, value)):
            raise InputError(f"{word!r}: unknown option {key!r}; write {' or '.join(meant)}")
        try:
            changes.setdefault(part, {})[name] = parse_yaml(value)
        except PlainDataError as error:
            raise InputError(
                f"{word!r}: the value cannot be read as YAML ({error}); quote it"
            ) from error
    return changes


def check_lengths(overrides: Mapping[str, Any], recipe: Recipe) -> None:
    """Check that no length in steps was typed whose place one in epochs takes.

    Args:
        overrides: What was typed, by part and option.
        recipe: The recipe with it, and with all other changes.

    Raises:
        InputError: A length has no effect.
    """
    typed = overrides.get("training", {})
    for name, instead in (("steps", "epochs"), ("validate_every", "validate_epochs")):
        epochs = getattr(recipe.training, instead)
        if name in typed and epochs is not None:
            raise InputError(
                f"training.{name}={typed[name]}: changes nothing, as training.{instead}={epochs} "
                f"takes its place; leave it out, or add training.{instead}=null"
            )


def overrides_like(name: str, value: str = "") -> list[str]:
    """The overrides that a name may stand for, as words to type.

    Args:
        name: Name of an option, with or without a part, also misspelt: ``steps`` stands for
            ``training.steps``, ``surface`` for those of two parts, ``lr`` for all learning rates.
        value: Its value as text; empty if unknown.

    Returns:
        Words such as ``training.steps=100``; empty if no option has a similar name.
    """
    return [_override(key, value) for key in _keys_like(name)]


def _override(key: str, value: str) -> str:
    flag = isinstance(_defaults()[key], bool)
    if flag and value not in ("true", "false"):
        value = "true"
    return f"{key}={value or 'VALUE'}"


def _keys_like(name: str) -> list[str]:
    """The options, as ``part.option``, of this name, else with it as a word, else like it."""
    name = name.lower().replace("-", "_")
    keys = list(_defaults())
    if name in keys:
        return [name]
    own = name.rpartition(".")[2]
    names = {key: key.partition(".")[2] for key in keys}
    near = nearest(own, sorted(set(names.values())), most=3, alike=_ALIKE)
    for alike in ({own}, {n for n in names.values() if own in n.split("_")}, set(near)):
        if found := [key for key in keys if names[key] in alike]:
            return found
    return []


def _defaults() -> dict[str, Any]:
    """All options, as ``part.option`` → default."""
    parts = asdict(Recipe())
    return {f"{part}.{name}": value for part, of in parts.items() for name, value in of.items()}


def _hint(name: str) -> str:
    keys = _keys_like(name)
    return one_of(keys) if keys else ""


def _refuse_former_parts(changes: Mapping[Any, Any], source: str) -> None:
    """Raise an :class:`InputError` for the former name of a part."""
    if "draws" in changes:
        raise InputError(f"{source}: the part draws is now called batch; rename it to batch")


def _example(part: str) -> str:
    return {"model": "{width: 256}", "training": "{steps: 3000}"}.get(part, "{name: value}")
