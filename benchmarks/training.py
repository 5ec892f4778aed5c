"""Training time beyond the steps themselves: loading data, waiting for it, and the loop.

    python benchmarks/training.py [--hearts 8] [--steps 250] [--preset tiny] [--json FILE]

It prepares phantoms with the default number of points, some of them for validation. Then:

* loading: hearts per second of the loader alone, on one thread, including augmentation;
* waiting: the share of a run's time that its journal reports as waiting for data, without and with
  two data workers, after the first entry, during which the workers start;
* loop: time per step of a whole run (loading, journal, display, checkpoints, validations), compared
  with the same steps alone (forward, backward, weight update) on batches loaded in advance. The two
  alternate between journal entries, so that drifts of the machine's speed affect both equally.

It prints a table and writes JSON. It takes less than ten minutes on two cores.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from vecsetx.commands.phantom import make_phantoms
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.train import train_model
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.step_batches import StepDataset
from vecsetx.presets import preset
from vecsetx.recipe import Recipe
from vecsetx.training.journal import Entry, Journal, read_journal
from vecsetx.training.ranks import Ranks
from vecsetx.training.step import Stepper

SIZE, SPACING_MM = 128, 1.0
WAITING_STEPS = 75
LOADER_BATCHES = 1000
BLOCK_BATCHES = 50


def prepared(folder: Path, hearts: int) -> DataSet:
    maps = make_phantoms(folder / "labels", hearts, 0, SIZE, SPACING_MM)
    dataset, failed = prepare(maps, folder / "data", PrepareOptions(val_share=0.25))
    if failed:
        raise SystemExit("\n".join(failed.values()))
    return dataset


def batches_of(dataset: DataSet, recipe: Recipe) -> TrainingBatches:
    hearts = dataset.of_split("train")
    return TrainingBatches(dataset, hearts, recipe.batch, recipe.augment, 0)


def loading(dataset: DataSet, recipe: Recipe) -> dict[str, float]:
    """Measure milliseconds per heart, and hearts per second of CPU time and of wall time.

    On a busy machine, wall times include other processes; the fastest block is the least disturbed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = StepDataset(batches_of(dataset, recipe), 1, 0, 1)
    walls, cpus = [], []
    for step in range(LOADER_BATCHES):
        wall, cpu = time.perf_counter(), time.thread_time()
        data[step]
        walls.append(time.perf_counter() - wall)
        cpus.append(time.thread_time() - cpu)
    torch.set_num_threads(threads)
    per_heart = 1000 / recipe.batch.hearts
    blocks = np.array(walls).reshape(-1, BLOCK_BATCHES).sum(axis=1)
    return {
        "hearts_per_cpu_second": recipe.batch.hearts * len(cpus) / sum(cpus),
        "hearts_per_second_of_fastest_block": (
            recipe.batch.hearts * BLOCK_BATCHES / float(blocks.min())
        ),
        "hearts_per_second_overall": recipe.batch.hearts * len(walls) / sum(walls),
        "median_ms": per_heart * float(np.median(walls)),
        "median_cpu_ms": per_heart * float(np.median(cpus)),
        "least_cpu_ms": per_heart * min(cpus),
    }


def waiting(dataset: DataSet, recipe: Recipe, workers: int, folder: Path) -> float:
    """Return the share of waiting in the time between a run's first and last journal entries."""
    changes = {"steps": WAITING_STEPS, "data_workers": workers}
    out = folder / f"waiting{workers}"
    train_model(dataset.folder, out, recipe.changed({"training": changes}, "benchmark"))
    entries = [e for e in read_journal(out / "metrics.jsonl") if e["split"] == "train"]
    seconds = np.diff([entry["seconds"] for entry in entries])
    return float(np.average([entry["waiting"] for entry in entries[1:]], weights=seconds))


class BareSteps:
    """Steps of a separate model, on batches loaded in advance."""

    def __init__(self, dataset: DataSet, recipe: Recipe) -> None:
        ranks = Ranks(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        data = StepDataset(batches_of(dataset, recipe), recipe.training.passes, 0, 1)
        self._batches = [data[step].batches for step in range(recipe.training.log_interval)]
        model = recipe.model.build(len(dataset.structures)).to(ranks.device).train()
        optimizers = recipe.optimizer.build(model)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = 1e-4
        clip, precision = recipe.optimizer.clip, recipe.training.precision
        self._stepper = Stepper(model, recipe.objective, optimizers, clip, precision, ranks)

    def seconds(self) -> float:
        """Time the number of steps between two journal entries."""
        began = time.perf_counter()
        for parts in self._batches:
            self._stepper.step(parts, False)
        return time.perf_counter() - began


def loop(dataset: DataSet, recipe: Recipe, steps: int, folder: Path) -> dict[str, float]:
    """Measure seconds per step of a run and of the steps alone, and the run's overhead.

    The first interval is left out: it includes one-time work. The last entry comes one interval
    after ``steps``, so that the checkpoint and validation of that step are included.
    """
    every = recipe.training.log_interval
    validate = recipe.training.validate_every or steps
    changes = {"steps": steps + every, "log_every": every, "validate_every": validate}
    bare = BareSteps(dataset, recipe)
    bare.seconds()
    whole_s: list[float] = []
    bare_s: list[float] = []
    since = time.perf_counter()
    add = Journal.add

    def added(journal: Journal, entry: Entry) -> None:
        nonlocal since
        add(journal, entry)
        if entry.split == "train":
            whole_s.append(time.perf_counter() - since)
            bare_s.append(bare.seconds())
            since = time.perf_counter()

    with patch.object(Journal, "add", added):
        changed = recipe.changed({"training": changes}, "benchmark")
        train_model(dataset.folder, folder / "loop", changed)
    intervals = list(zip(whole_s[1:], bare_s[1:], strict=True))
    return {
        "steps": every * len(intervals),
        "validate_every": validate,
        "step_s": sum(whole for whole, _ in intervals) / every / len(intervals),
        "bare_step_s": sum(alone for _, alone in intervals) / every / len(intervals),
        "overhead": sum(w for w, _ in intervals) / sum(b for _, b in intervals) - 1,
        # A typical interval has neither a validation nor a checkpoint.
        "median_overhead": float(np.median([whole / alone - 1 for whole, alone in intervals])),
    }


def show(results: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Training overhead, preset {results['preset']}")
    for heading in ("", "measured", "target"):
        table.add_column(heading, justify="right")
    loaded, shares, run = results["loading"], results["waiting"], results["loop"]
    for name, measured, target in (
        ("hearts per second of one core", f"{loaded['hearts_per_cpu_second']:.0f}", "≥ 2000"),
        (
            "… of wall time, fastest block",
            f"{loaded['hearts_per_second_of_fastest_block']:.0f}",
            "",
        ),
        ("… of wall time, overall", f"{loaded['hearts_per_second_overall']:.0f}", ""),
        ("ms per heart, median", f"{loaded['median_ms']:.2f}", "≤ 0.5"),
        ("ms of CPU per heart, median", f"{loaded['median_cpu_ms']:.2f}", ""),
        ("ms of CPU per heart, minimum", f"{loaded['least_cpu_ms']:.2f}", ""),
        ("waiting, no workers", f"{shares['0']:.2%}", ""),
        ("waiting, two workers", f"{shares['2']:.2%}", "≤ 3%"),
        ("seconds per step of a run", f"{run['step_s']:.3f}", ""),
        ("seconds per step alone", f"{run['bare_step_s']:.3f}", ""),
        ("overhead of a run", f"{run['overhead']:.1%}", "≤ 5%"),
        ("… between journal entries, median", f"{run['median_overhead']:.1%}", ""),
    ):
        table.add_row(name, measured, target)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--hearts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=250, help="steps of the run")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/training.json"))
    options = parser.parse_args()
    recipe = preset(options.preset)
    results: dict[str, Any] = {"preset": options.preset, "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = prepared(folder, options.hearts)
        results["loading"] = loading(dataset, recipe)
        results["waiting"] = {
            str(workers): waiting(dataset, recipe, workers, folder) for workers in (0, 2)
        }
        results["loop"] = loop(dataset, recipe, options.steps, folder)
    show(results, Console())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
