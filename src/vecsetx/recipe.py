"""Recipes: all options of a training run, gathered from the modules that define them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from vecsetx.data.augment import AugmentSpec
from vecsetx.data.batches import BatchSpec
from vecsetx.data.partial import PartialSpec
from vecsetx.errors import InputError
from vecsetx.model.vecset import ModelSpec
from vecsetx.training.objective import ObjectiveSpec
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.spec import TrainingSpec

__all__ = ["Recipe", "parse_overrides", "read_changes"]


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

    def changed(self, changes: Mapping[str, Any], source: str) -> "Recipe":
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
                raise InputError(f"{source}: no part {part!r}; a recipe has {', '.join(merged)}")
            if not isinstance(values, Mapping):
                raise InputError(f"{source}: {part} needs options, such as {_example(part)}")
            for name, value in values.items():
                if name not in merged[part]:
                    raise InputError(
                        f"{source}: no option {part}.{name}; {part} has {', '.join(merged[part])}"
                    )
                merged[part][name] = value
        # Types and ranges are checked here, and by each part itself (a value_error).
        try:
            return _ADAPTER.validate_python(merged)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "value_error":
                raise InputError(f"{source}: {first['msg']}") from error
            where = ".".join(str(key) for key in first["loc"])
            raise InputError(f"{source}: {where} = {first['input']!r}: {first['msg']}") from error

    def to_dict(self) -> dict[str, Any]:
        """This recipe as plain data, for ``recipe.yaml``."""
        return asdict(self)


_ADAPTER = TypeAdapter(Recipe)


def read_changes(path: Path) -> dict[str, Any]:
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
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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
        InputError: An override does not have that form.
    """
    changes: dict[str, dict[str, Any]] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        part, dot, name = key.partition(".")
        if not (equals and dot and part and name):
            raise InputError(
                f"{word!r}: write an override as part.option=value, as in model.width=256"
            )
        try:
            changes.setdefault(part, {})[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(
                f"{word!r}: the value cannot be read as YAML ({error}); quote it"
            ) from error
    return changes


def _refuse_former_parts(changes: Mapping[str, Any], source: str) -> None:
    """Raise an :class:`InputError` for the former name of a part."""
    if "draws" in changes:
        raise InputError(f"{source}: the part draws is now called batch; rename it to batch")


def _example(part: str) -> str:
    return {"model": "{width: 256}", "training": "{steps: 3000}"}.get(part, "{name: value}")
