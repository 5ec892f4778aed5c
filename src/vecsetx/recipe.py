"""A recipe: every choice of a training run, gathered from the parts that own them."""

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


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every choice of a training run. Each part is documented where it is defined."""

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
                f"batch.points gives only {self.batch.points}"
            )

    def changed(self, changes: Mapping[str, Any], source: str) -> "Recipe":
        """This recipe with some fields replaced.

        Args:
            changes: For example ``{"model": {"width": 256}}``.
            source: Where they come from, for errors.

        Raises:
            InputError: A field does not exist or a value does not fit it.
        """
        merged = asdict(self)
        for part, values in changes.items():
            if part not in merged:
                raise InputError(f"{source}: no part {part!r}; a recipe has {', '.join(merged)}")
            if not isinstance(values, Mapping):
                raise InputError(f"{source}: {part} needs fields, such as {_example(part)}")
            for name, value in values.items():
                if name not in merged[part]:
                    raise InputError(
                        f"{source}: no field {part}.{name}; {part} has {', '.join(merged[part])}"
                    )
                merged[part][name] = value
        try:
            return _ADAPTER.validate_python(merged)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "value_error":
                raise InputError(f"{source}: {first['msg']}") from error
            where = ".".join(str(key) for key in first["loc"])
            raise InputError(f"{source}: {where} = {first['input']!r}: {first['msg']}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for ``recipe.yaml``."""
        return asdict(self)


_ADAPTER = TypeAdapter(Recipe)


def read_changes(path: Path) -> dict[str, Any]:
    """Changes to a recipe from a YAML file.

    Raises:
        InputError: The file cannot be read or holds no table.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a recipe: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: a recipe is a table such as {{model: {{width: 256}}}}")
    return data


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Changes from the command line's ``part.field=value`` words; values are read as YAML.

    Raises:
        InputError: A word is not of that form.
    """
    changes: dict[str, dict[str, Any]] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        part, dot, name = key.partition(".")
        if not (equals and dot and part and name):
            raise InputError(f"{word!r}: an override is part.field=value, as in model.width=256")
        try:
            changes.setdefault(part, {})[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"{word!r}: the value cannot be read: {error}") from error
    return changes


def _example(part: str) -> str:
    return {"model": "{width: 256}", "training": "{steps: 3000}"}.get(part, "{name: value}")
