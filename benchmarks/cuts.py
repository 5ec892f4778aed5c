"""Unseen hearts cut by random planes: what a model makes of the part beyond, and a cohort's hearts.

    python benchmarks/cuts.py UNSEEN… --cohort FOLDER [--model MODEL] [--planes 20] [--json FILE]

UNSEEN and the cohort are label maps, or folders of them. A plane cuts off 10 to 40% of a heart. The
part beyond is predicted by the model, by the cohort's heart that is nearest to what is left, and by
its mean heart, both rotated, scaled and moved onto what is left. All keep what is observed. The
table shows Dice beyond the plane, of structures that lose more than a twentieth, on a grid of about
2 mm; each structure of each cut counts once. It also shows how many vertices of the model's surface
lie within two of their standard deviations of the true surface, with the model's own calibration.
Intervals are those of a bootstrap over cuts, 95%.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import Cohort
from cut_hearts import add_scores_beyond, hidden_structures
from partial_hearts import VOXEL_MM, Rows, coarse, contenders
from rich.console import Console
from rich.progress import track
from rich.table import Table

from vecsetx.data.find_hearts import find_hearts
from vecsetx.evaluation.calibration import Calibration, VertexErrors
from vecsetx.evaluation.cut import Cut, errors_beyond
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.model.built_in import built_in_model
from vecsetx.model.saved import TrainedModel

RESAMPLES = 2000


@dataclass(frozen=True)
class Case:
    """One cut of one heart."""

    heart: str
    path: Path
    number: int


@dataclass(frozen=True)
class Scored:
    """What was found: contender → structure → Dice, and errors if the model is calibrated."""

    heart: str
    dice: dict[str, dict[str, float]]
    errors: VertexErrors | None


@cache
def model_of(folder: Path) -> TrainedModel:
    torch.set_num_threads(1)
    return TrainedModel.from_pretrained(folder)


@cache
def cohort_of(folder: Path, model: Path) -> Cohort:
    structures = model_of(model).structures
    maps = []
    for source in find_hearts([folder]).values():
        segmentation = source.resolved().segmentation(structures)
        known = [n for n in source.resolved().label_set.structures if n in structures]
        maps.append((coarse(segmentation.label_map), known))
    return Cohort.of(maps, structures, None)


def scored(case: Case, cohort: Path, model: Path) -> Scored:
    trained = model_of(model)
    structures = trained.structures
    (source,) = find_hearts([case.path]).values()
    whole = source.resolved().segmentation(structures).label_map
    generator = np.random.default_rng([case.number, *case.heart.encode()])
    cut = Cut.at_random(whole, generator)
    geometry = Geometry.of_label_map(cut.left, len(structures))
    fields = contenders(geometry, trained, cohort_of(cohort, model))
    completed = {name: CompletedField.of(field, geometry) for name, field in fields.items()}
    lost = hidden_structures(cut.hidden, cut.whole, structures)
    dice = dice_beyond(cut, completed, lost)
    errors = None
    if factor := sd_factor_of(None, trained):
        kept = completed["model"]
        factors = factor.each(structures, kept.visibility.cut)
        how = trained, factor.members, 0, factors, fields["model"].domain
        ensemble = encode_ensemble(geometry, *how).mapped(kept.with_model)
        errors = errors_beyond(cut, kept, ensemble, lost, generator, VOXEL_MM)
    return Scored(case.heart, dice, errors)


def dice_beyond(
    cut: Cut, completed: dict[str, CompletedField], lost: Sequence[str]
) -> dict[str, dict[str, float]]:
    rows: Rows = defaultdict(list)
    add_scores_beyond(rows, cut, completed, lost)
    found: dict[str, dict[str, float]] = {name: {} for name in completed}
    for (contender, structure), (value,) in rows.items():
        found[contender][structure] = value
    return found


def mean(found: Sequence[Scored], contender: str, structure: str | None = None) -> float:
    """Mean Dice over structures and cuts; NaN if no cut has the structure."""
    values = [
        dice
        for one in found
        for name, dice in one.dice[contender].items()
        if structure in (None, name)
    ]
    return float(np.mean(values)) if values else float("nan")


def interval(found: Sequence[Scored], better: str, worse: str | None = None) -> list[float]:
    """95% interval of a mean, or of the difference of two, resampling cuts."""
    generator = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        some = [found[k] for k in generator.integers(0, len(found), len(found))]
        means.append(mean(some, better) - (mean(some, worse) if worse else 0))
    return np.quantile(means, [0.025, 0.975]).round(4).tolist()


def summary(found: Sequence[Scored]) -> dict[str, Any]:
    """Dice of all contenders, and coverage of the model's standard deviations."""
    structures = list(dict.fromkeys(name for one in found for name in one.dice["model"]))
    errors = [one.errors for one in found if one.errors is not None]
    return {
        "cuts": len(found),
        "hearts": sorted({one.heart for one in found}),
        "dice": {
            contender: {
                "mean": mean(found, contender),
                "interval": interval(found, contender),
                **{name: mean(found, contender, name) for name in structures},
            }
            for contender in found[0].dice
        },
        "above the nearest heart": {
            "mean": mean(found, "model") - mean(found, "nearest heart"),
            "interval": interval(found, "model", "nearest heart"),
        },
        "uncertainty": Calibration.of(VertexErrors.joined(errors)).to_dict() if errors else None,
    }


def show(title: str, found: dict[str, Any], console: Console) -> None:
    """Print the table of some hearts."""
    structures = [n for n in found["dice"]["model"] if n not in ("mean", "interval")]
    table = Table(title=f"{title}: Dice beyond {found['cuts']} planes")
    for heading in ("", "mean", "95%", *structures):
        table.add_column(heading, justify="right")
    for contender, row in found["dice"].items():
        low, high = row["interval"]
        cells = [f"{row[name]:.3f}" for name in structures]
        table.add_row(contender, f"{row['mean']:.3f}", f"{low:.3f}–{high:.3f}", *cells)
    console.print(table)
    above = found["above the nearest heart"]
    low, high = above["interval"]
    console.print(f"above the nearest heart by {above['mean']:.3f} ({low:.3f} to {high:.3f})")
    if found["uncertainty"]:
        within = found["uncertainty"]["within"]
        console.print(f"within 2 s.d.: {100 * within[1]:.1f}% of the vertices beyond the planes\n")


def main() -> None:
    """Print a table per folder of unseen hearts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("unseen", nargs="+", type=Path, help="hearts, or folders of them")
    parser.add_argument("--cohort", type=Path, required=True, help="folder of other hearts")
    parser.add_argument("--model", type=Path, default=None, help="default: the built-in one")
    parser.add_argument("--planes", type=int, default=20, help="cuts of each heart")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = given.model or built_in_model()
    cases = {
        folder: [
            Case(name, source.path, number)
            for name, source in find_hearts([folder]).items()
            for number in range(given.planes)
        ]
        for folder in given.unseen
    }
    console, results = Console(), {}
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        for folder, some in cases.items():
            jobs = [pool.submit(scored, case, given.cohort, model) for case in some]
            found = [job.result() for job in track(jobs, str(folder.name), console=console)]
            results[folder.name] = summary(found)
            show(folder.name, results[folder.name], console)
            if given.json:
                given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
