"""Which model and training choices learn fastest: Dice of unseen hearts after equal steps.

    python benchmarks/learning.py [--steps 300] [--seeds 2] [--choices anchored,union]
        [--set model.normals=false] [--real FOLDER --labels NAME] [--curve] [--json FILE]

Each choice differs from the first, ``anchored``, in one option; ``--set`` changes what they have in
common. A choice that then equals ``anchored`` is left out unless it is named. All choices train on
the same batches, from phantoms of 128³ voxels at 1 mm and, optionally, label maps of real hearts;
unseen hearts are scored on the voxel grid, over several seeds. Every run has one thread, and one
run per core goes in parallel, so seconds are comparable only within a table. With ``--curve``, it
also trains the preset ``tiny`` as the demo does, and shows the score on unseen phantoms against
time. It prints tables and writes JSON. By default it takes half an hour on two cores; real hearts
and the curve take as long again.
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.phantom import make_phantoms
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.evaluation.scores import Score, score_heart, summarize
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.model.saved import TrainedModel
from vecsetx.presets import PRESETS
from vecsetx.recipe import Recipe, parse_overrides
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.training.journal import read_journal
from vecsetx.workers.processes import Processes

CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "anchored": {},
    "point queries": {"model": {"queries": "point"}},
    "learnable queries": {"model": {"queries": "learnable"}},
    "union + logits": {"model": {"field": "union"}},
    "no bottleneck": {"model": {"bottleneck": "none"}},
    "KL bottleneck": {"model": {"bottleneck": "kl"}},
    "normals read": {"model": {"normals": True}},
    "no normals read": {"model": {"normals": False}},
    "AdamW alone": {"optimizer": {"hidden": "adamw"}},
    "no inside term": {"objective": {"inside": 0.0}},
    "Eikonal 0.1": {"objective": {"eikonal": 0.1}},
    "normals 0.1": {"objective": {"normal": 0.1}},
    "Eikonal + normals": {"objective": {"eikonal": 0.1, "normal": 0.1}},
}
WIDTH = 140
"""Minimum width of the tables, in columns."""

STRIDE = 2
"""Every second voxel along each axis is scored."""


@dataclass(frozen=True)
class Job:
    """One run: a recipe on a data set."""

    data: Path
    out: Path
    recipe: Recipe


def recipe_of(choice: str, options: argparse.Namespace, seed: int = 0) -> Recipe:
    """Return the preset ``tiny`` with half its points and latents, to keep the runs short."""
    common = {
        "model": {"latents": 128},
        "batch": {"points": 1024, "surface": 128, "near": 256, "volume": 128},
        "training": {"steps": options.steps, "seed": seed, "checkpoint_every": options.steps},
    }
    recipe = PRESETS["tiny"].changed(common, "benchmark")
    recipe = recipe.changed(parse_overrides(options.overrides), "--set")
    return recipe.changed(CHOICES[choice], choice)


def distinct(options: argparse.Namespace) -> list[str]:
    """Return the first choice, and all others with a different recipe."""
    first, *others = CHOICES
    return [first, *(c for c in others if recipe_of(c, options) != recipe_of(first, options))]


def run(job: Job) -> dict[str, Any]:
    """Train, then score every unseen heart with as many points and latents as in training."""
    torch.set_num_threads(1)
    trained = train_model(job.data, job.out, job.recipe)
    dataset = DataSet.read(job.data)
    options = EncodeOptions(
        points=job.recipe.batch.points, latents=job.recipe.model.anchors or None, refine=0
    )
    scores = [
        score
        for heart in dataset.of_split("val")
        for score in scores_of(trained, dataset, heart, options)
    ]
    summary = summarize(scores)["summary"]
    journal = read_journal(job.out / "metrics.jsonl")
    return {
        "dice": summary["mean"]["dice"],
        "structures": {
            name: measures["dice"]["mean"] for name, measures in summary["structures"].items()
        },
        "seconds": journal[-1]["seconds"],
    }


def scores_of(
    trained: TrainedModel, dataset: DataSet, heart: HeartEntry, options: EncodeOptions
) -> list[Score]:
    whole = source_of(dataset, heart).segmentation(dataset.structures)
    coarse = whole.label_map.downsampled(STRIDE)
    found = rasterize(encode_heart(whole.geometry(), trained, options), coarse)
    scores = score_heart(heart.name, coarse.labels, found.labels, dataset.structures)
    return [score for score in scores if score.structure in heart.annotated]


def phantoms(folder: Path, count: int) -> Path:
    maps = make_phantoms(folder / "labels", count, 0, 128, 1.0)
    return prepared(maps, folder / "data", "default", 0.2)


def prepared(maps: list[Path], out: Path, labels: str, val_share: float) -> Path:
    sampling = SamplingSpec(20_000, 20_000, 20_000)
    options = PrepareOptions(label_set(labels), sampling=sampling, val_share=val_share)
    _, failed = prepare(maps, out, options)
    if failed:
        raise SystemExit(f"not prepared: {failed}")
    return out


def real_hearts(folder: Path, options: argparse.Namespace) -> Path:
    maps = sorted(options.real.glob("*.nii.gz"))[: options.real_count]
    return prepared(maps, folder / "data", options.labels, options.real_val_share)


def learn(folder: Path, data: Path, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Train all choices; return choice → one result per seed."""
    jobs = {
        (choice, seed): Job(data, folder / f"{index}-{seed}", recipe_of(choice, options, seed))
        for index, choice in enumerate(options.choices)
        for seed in range(options.seeds)
    }
    found: dict[str, list[dict[str, Any]]] = {choice: [] for choice in options.choices}
    with Processes(options.workers) as workers:
        futures = {key: workers.submit(run, job) for key, job in jobs.items()}
        for (choice, _), future in futures.items():
            found[choice].append(future.result())
    return found


def show(title: str, found: dict[str, list[dict[str, Any]]], console: Console) -> None:
    table = Table(title=title)
    structures = list(next(iter(found.values()))[0]["structures"])
    for heading in ("", "mean Dice", "± over seeds", *structures, "s"):
        table.add_column(heading, justify="right")
    for choice, results in found.items():
        dice = [result["dice"] for result in results]
        each = [
            statistics.fmean(result["structures"][name] for result in results)
            for name in structures
        ]
        table.add_row(
            choice,
            f"{statistics.fmean(dice):.3f}",
            f"{statistics.stdev(dice):.3f}" if len(dice) > 1 else "–",
            *(f"{value:.2f}" for value in each),
            f"{statistics.fmean(result['seconds'] for result in results):.0f}",
        )
    console.print(table)


def curve(folder: Path, data: Path, console: Console) -> list[dict[str, float]]:
    """Measure the grid Dice of the preset ``tiny`` on unseen hearts against training time."""
    recipe = PRESETS["tiny"].changed(
        {"training": {"steps": 600, "validate_every": 75}}, "benchmark"
    )
    train_model(data, folder, recipe)
    points = [
        {"step": entry["step"], "seconds": entry["seconds"], "grid_dice": entry["grid_dice"]}
        for entry in read_journal(folder / "metrics.jsonl")
        if entry["split"] == "val"
    ]
    table = Table(title="preset tiny: mean Dice of unseen phantoms against time")
    for heading in ("step", "s", "Dice"):
        table.add_column(heading, justify="right")
    for point in points:
        table.add_row(str(point["step"]), f"{point['seconds']:.0f}", f"{point['grid_dice']:.3f}")
    console.print(table)
    return points


def write(results: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--choices", type=lambda text: text.split(","))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="PART.FIELD=VALUE",
        help="change every choice's recipe, as in model.normals=false; may be repeated",
    )
    parser.add_argument("--phantoms", type=int, default=30, help="number of phantoms; 0 for none")
    parser.add_argument("--real", type=Path, help="folder of label maps")
    parser.add_argument("--labels", default="default", help="label set of the real hearts")
    parser.add_argument("--real-count", type=int, default=40)
    parser.add_argument("--real-val-share", type=float, default=0.2)
    parser.add_argument("--curve", action="store_true", help="also score preset tiny against time")
    parser.add_argument("--workers", type=int, help="parallel runs (default: one per core)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/learning.json"))
    options = parser.parse_args()
    if unknown := set(options.choices or []) - set(CHOICES):
        parser.error(f"unknown choices {unknown}; use {', '.join(CHOICES)}")
    try:
        options.choices = options.choices or distinct(options)
        results: dict[str, Any] = {"steps": options.steps, "seeds": options.seeds}
        results["recipe"] = asdict(recipe_of("anchored", options))
    except InputError as error:
        parser.error(str(error))
    console = Console(width=max(Console().width, WIDTH))
    with tempfile.TemporaryDirectory() as name:
        folders = {kind: Path(name) / kind for kind in ("phantoms", "real")}
        if options.phantoms:
            data = phantoms(folders["phantoms"], options.phantoms)
            results["phantoms"] = learn(folders["phantoms"], data, options)
            write(results, options.json)
            show("phantoms", results["phantoms"], console)
            if options.curve:
                results["curve"] = curve(folders["phantoms"] / "curve", data, console)
        if options.real:
            data = real_hearts(folders["real"], options)
            results["real"] = learn(folders["real"], data, options)
            show(f"real hearts of {options.real}", results["real"], console)
    write(results, options.json)


if __name__ == "__main__":
    main()
