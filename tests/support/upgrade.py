"""What a version reads in the files of ``tests/fixtures/``, and what it comes to with them."""

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from vecsetx import encode, load
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.model.vecset import ModelSpec
from vecsetx.population.space_file import SavedSpace
from vecsetx.recipe import Recipe
from vecsetx.sampling.npz.layout import read_npz
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.samples import Samples
from vecsetx.training.spec import TrainingSpec

RECIPE = Recipe(
    model=ModelSpec(latents=16, latent_channels=4, width=16, heads=2, layers=1, frequencies=4),
    batch=BatchSpec(hearts=2, points=64, surface=32, near=32, volume=32),
    training=TrainingSpec(steps=6, log_every=2, checkpoint_every=3, precision="fp32"),
)
LONGER = RECIPE.changed({"training": {"steps": 8}}, "")
"""With which the fixtures' run is resumed."""

EXPORTED = "phantom03"
"""The heart of which there is an NPZ file."""


def hashes_of(folder: Path) -> dict[str, str]:
    """Read a data set, an NPZ file and a shape space; return a hash of every array in them."""
    dataset = DataSet.read(folder / "data")
    found = {entry.name: dataset.open_file(entry.file).read() for entry in dataset.hearts}
    origin = Origin(
        EXPORTED, "npz", folder / "npz" / f"{EXPORTED}.npz", "0" * 64, label_set("default")
    )
    found["npz"] = read_npz(origin, dataset.structures, seed=0)
    arrays = {f"{name}.{k}": v for name, one in found.items() for k, v in _arrays(one).items()}
    saved = SavedSpace.read(folder / "space")
    for of, part in (
        ("space", saved.space),
        ("template", saved.template),
        ("cohort", saved.cohort),
    ):
        for field in fields(part):
            if isinstance(value := getattr(part, field.name), np.ndarray):
                arrays[f"{of}.{field.name}"] = value
    return {name: _sha256(array) for name, array in arrays.items()}


def numbers_of(folder: Path, resumed: Path) -> dict[str, np.ndarray]:
    """Resume a run and use its model; return the weights, and a heart's latents and distances.

    Args:
        folder: The files of a version.
        resumed: A copy of its run, which is resumed.
    """
    heart = encode(load(folder / "run"), folder / "data/hearts" / _file_of(folder), refine=0)
    there = np.random.default_rng(0).uniform(-60, 60, (200, 3))
    center = np.array(heart.encoded.field.frame.center_mm)
    train_model(folder / "data", resumed, LONGER, resume=True)
    state = torch.load(resumed / "checkpoint.pt", weights_only=True)["parts"]["model"]
    return {
        "latents": heart.latent_set.latents.numpy(),
        "distances_mm": heart.distances_mm(center + there).astype(np.float32),
        **{f"resumed.{name}": weight.numpy() for name, weight in state.items()},
    }


def _file_of(folder: Path) -> str:
    (entry,) = (e for e in DataSet.read(folder / "data").hearts if e.name == EXPORTED)
    return Path(entry.file).name


def _arrays(samples: Samples) -> dict[str, np.ndarray]:
    return {
        f"{group}.{field.name}": getattr(getattr(samples, group), field.name)
        for group in ("surface", "near", "volume")
        for field in fields(getattr(samples, group))
    }


def _sha256(array: np.ndarray) -> str:
    described = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()
