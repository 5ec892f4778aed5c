"""Small training runs, for the tests."""

import os
import shutil
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from support.hearts import write_small_phantoms
from vecsetx.anatomy.label_sets import label_set
from vecsetx.cli import app
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.train import train_model
from vecsetx.data.batch import Batch
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import ModelSpec
from vecsetx.recipe import Recipe
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.training.journal import read_journal
from vecsetx.training.spec import TrainingSpec

RECIPE = Recipe(
    model=ModelSpec(latents=32, width=32, heads=4, layers=1),
    batch=BatchSpec(hearts=2, points=256, surface=32, near=64, volume=32),
    training=TrainingSpec(steps=8, log_every=2, checkpoint_every=3, precision="fp32"),
)
GRADIENTS = RECIPE.changed(
    {
        "objective": {"eikonal": 0.1, "normal": 0.1, "gradient_points": 24},
        "optimizer": {"hidden": "adamw", "adamw_lr": 0.0005},
        "training": {"steps": 4, "log_every": 1},
    },
    "",
)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
"""Of the commands that tests start."""


def small_dataset(folder: Path) -> DataSet:
    """Four small phantoms, one of them for validation."""
    maps = write_small_phantoms(folder / "labels", 4)
    options = PrepareOptions(
        label_set("default"), sampling=SamplingSpec(2000, 2000, 2000), val_share=0.25, workers=1
    )
    made, failed = prepare(maps, folder / "data", options)
    assert not failed
    return made


def trained_a_little(dataset: DataSet, out: Path) -> Path:
    """A run long enough for the model to find structures."""
    recipe = RECIPE.changed(
        {"training": {"steps": 60}, "optimizer": {"muon_lr": 0.02, "adamw_lr": 0.01}}, ""
    )
    train_model(dataset.folder, out, recipe)
    return out


def calibrated(dataset: DataSet, trained_run: Path, folder: Path) -> None:
    """Calibrate a copy of a run on some structures of its training hearts, on coarse grids."""
    run = shutil.copytree(trained_run, folder / "run")
    some = ("LA", "RV", "Aorta", "PV")  # each is hidden in turn, which takes its time
    hearts = tuple(replace(heart, annotated=some) for heart in dataset.hearts)
    data = replace(dataset, folder=folder / "data", hearts=hearts)
    data.folder.mkdir()
    data.write()
    words = (
        *("calibrate", data.folder, "--model", run),
        *("--split", "train", "--ensemble", 2, "--few"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vecsetx.evaluation.hidden_structures.SPACING_MM", 5.0)
        patch.setattr("vecsetx.evaluation.cut._SPACING_MM", 5.0)
        patch.setattr("vecsetx.inference.domain._SPACING_MM", 12.0)
        result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (folder / "said.txt").write_text(result.output)


def untrained(structures: tuple[str, ...], points: int = 64) -> TrainedModel:
    """A network without training; tests put a field in its place."""
    torch.manual_seed(0)
    network = ModelSpec(latents=16, width=32, heads=4, layers=1).build(len(structures)).eval()
    return TrainedModel(network, structures, label_set("default"), 80.0, 0.1, points, {})


def parts_of(batch: Batch, hearts: int) -> list[Batch]:
    """The batch in parts of that many hearts."""
    starts = range(0, len(batch.points), hearts)
    return [batch.map(lambda values, i=start: values[i : i + hearts]) for start in starts]


def tensors_of(batch: Batch) -> dict[str, torch.Tensor]:
    """Every tensor of a batch by its path, as ``near.points``."""
    found: dict[str, torch.Tensor] = {}
    for field in fields(Batch):
        value = getattr(batch, field.name)
        if isinstance(value, torch.Tensor):
            found[field.name] = value
        else:
            found |= {f"{field.name}.{f.name}": getattr(value, f.name) for f in fields(value)}
    return found


def losses(run: Path) -> list[float]:
    return [e["loss"] for e in read_journal(run / "metrics.jsonl") if e["split"] == "train"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    return state["parts"]["model"]


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-5, atol=1e-5)


def command(
    data: DataSet, out: Path, recipe: Recipe, *options: str, ranks: int = 1
) -> list[str | Path]:
    """The command line of a run, on several ranks if asked for."""
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(recipe.to_dict()))
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    program = [sys.executable, *(launch if ranks > 1 else []), "-m", "vecsetx", "train"]
    return [*program, data.folder, "--out", out, "--config", file, *options]
