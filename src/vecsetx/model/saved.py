"""Trained models as files: weights in safetensors, everything else in JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from vecsetx.anatomy.structures import LabelSet
from vecsetx.errors import InputError
from vecsetx.files import write_json, written_whole
from vecsetx.model.vecset import ModelSpec, VecSetAutoEncoder

SCHEMA = 2
"""Version of ``model.json``; a reader refuses any other."""

_WEIGHTS, _DESCRIPTION = "model.safetensors", "model.json"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model and what is needed to use it.

    Attributes:
        network: The autoencoder.
        structures: Names of its K structures.
        label_set: The label set of its training data, the default for its inputs.
        mm_per_unit: Scale of its frames.
        truncation: Units up to which its distances are reliable.
        points: Surface points that it was shown of each heart.
        provenance: What it was trained from, as plain data.
    """

    network: VecSetAutoEncoder
    structures: tuple[str, ...]
    label_set: LabelSet
    mm_per_unit: float
    truncation: float
    points: int
    provenance: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``model.json`` into a folder."""
        weights = {name: t.contiguous() for name, t in self.network.state_dict().items()}
        with written_whole(folder / _WEIGHTS) as unfinished:
            save_file(weights, unfinished)
        description = {
            "schema": SCHEMA,
            "model": asdict(self.network.spec),
            "structures": list(self.structures),
            "label_set": self.label_set.to_dict(),
            "mm_per_unit": self.mm_per_unit,
            "truncation": self.truncation,
            "points": self.points,
            "provenance": dict(self.provenance),
        }
        write_json(folder / _DESCRIPTION, description)

    @classmethod
    def load(cls, folder: Path) -> "TrainedModel":
        """Read a saved model, or the model of a run's folder, for evaluation on the CPU.

        Raises:
            InputError: There is no model, or it is damaged or of another schema.
        """
        where = _find(folder)
        path = where / _DESCRIPTION
        try:
            data = _describe(path)
            spec = TypeAdapter(ModelSpec).validate_python(data["model"])
            network = spec.build(len(data["structures"]))
            network.load_state_dict(load_file(where / _WEIGHTS))
            return cls(
                network.eval(),
                tuple(data["structures"]),
                LabelSet.from_dict(data["label_set"], str(path)),
                data["mm_per_unit"],
                data["truncation"],
                data["points"],
                data["provenance"],
            )
        except (
            KeyError,
            ValidationError,
            OSError,
            SafetensorError,
            RuntimeError,
        ) as error:
            raise InputError(f"{where}: damaged model: {error}") from error


def read_structures(folder: Path) -> tuple[str, ...]:
    """Names of a model's structures, without loading its weights. Raises as loading it would."""
    return tuple(_describe(_find(folder) / _DESCRIPTION)["structures"])


def _find(folder: Path) -> Path:
    for candidate in (folder, folder / "model"):
        if (candidate / _DESCRIPTION).exists():
            return candidate
    raise InputError(f"{folder}: no trained model (no {_DESCRIPTION}); run vecsetx train")


def _describe(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a model's description: {error}") from error
    if data.get("schema") != SCHEMA:
        raise InputError(f"{path}: schema {data.get('schema')}, this version reads {SCHEMA}")
    return data


def parameter_count(network: torch.nn.Module) -> int:
    """Number of trained weights."""
    return sum(parameter.numel() for parameter in network.parameters())
