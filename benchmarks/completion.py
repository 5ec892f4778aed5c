"""Completion of partial hearts, compared with the cohort's nearest heart and mean heart.

    python benchmarks/completion.py [--steps 2400] [--real FOLDER --labels NAME] [--quick]
        [--runs FOLDER] [--json FILE]

The data are phantoms of 128³ voxels at 1.25 mm, a fifth of which is held out, and optionally label
maps of real hearts, in folders ``train`` and ``val`` of FOLDER. (A random split would not do where
hearts derive from each other.) ``benchmarks/cuts.py`` scores more cuts, by a model that is trained
already. On the phantoms, it trains the preset ``tiny`` with whole hearts, and ``tiny-partial``,
which learns to complete partial hearts. It trains the latter on the real hearts, too, and on both
kinds together (*mixed*), with the phantoms' model as teacher. Then, on held-out hearts:

* *hidden*: three random structures are hidden (phantoms), or each of LA, RA, RV and aorta in turn
  (real hearts). Dice and ASSD of the hidden structures for each contender; and Dice if each keeps
  the observed surfaces, which give away half of a hidden neighbour.
* *whole*: Dice of whole hearts, compared with the model trained on whole hearts only.
* *cut*: a random plane cuts off 10 to 40% of the heart. Dice of what lies beyond it, and the
  largest step of a surface at the plane. All contenders keep the observed surfaces.
* *uncertainty*: the models are calibrated on half of the held-out hearts, with each structure
  hidden in turn, and cut by a plane. On the other half: how often the true surface lies within the
  predicted standard deviations, for structures hidden in turn and for parts beyond a plane.
* *mixed*: the effect of training on both kinds. LAA, coronaries and pulmonary veins are annotated
  in no real heart and hidden from the phantoms: in how many hearts they are predicted, how large
  they are, and whether they touch the structures that they grow on, with and without recycling.

It prints tables and writes JSON. It reuses models that exist in ``--runs``. On two cores, with real
hearts, everything but training took 87 minutes; ``--quick`` took 12 minutes, or 4 without real
hearts, and only checks that the benchmark runs.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cut_hearts import cut
from partial_hearts import (
    GROWS_ON,
    MAIN,
    Hearts,
    at_random,
    branches,
    hearts_of,
    hiding,
    in_turn,
    whole,
)
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.calibrate import calibrate
from vecsetx.commands.phantom import make_phantoms
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.presets import PRESETS
from vecsetx.sampling.sampler import SamplingSpec

SCALE = 1.25
"""Scale of the phantoms, which gives chambers of realistic size, and size of their voxels in mm."""

RECYCLED = (0, 1, 2)
"""Numbers of times that the reconstruction is fed back."""

WIDTH = 140
"""Minimum width of the tables, in columns."""


def prepared(maps: Sequence[Path], data: Path, labels: str, split: Path | None = None) -> DataSet:
    sampling = SamplingSpec(*[20_000] * 3)
    options = PrepareOptions(label_set(labels), sampling=sampling, split=split)
    dataset, failed = prepare(maps, data, options)
    if failed:
        raise SystemExit(f"not prepared: {failed}")
    return dataset


def trained_on(
    data: Path, run: Path, preset: str, steps: int, teacher: Path | None = None
) -> TrainedModel:
    """Return the model of a run, after training it if it does not exist."""
    if not (run / "model").exists():
        training = {"steps": steps, "teacher": str(teacher) if teacher else None}
        recipe = PRESETS[preset].changed({"training": training}, "benchmark")
        train_model(data, run, recipe, resume=(run / "checkpoint.pt").exists())
    return TrainedModel.from_pretrained(run)


def together(folder: Path, one: DataSet, other: DataSet) -> DataSet:
    """Merge two data sets, as if all of their hearts had been prepared into one folder."""
    for dataset in (one, other):
        shutil.copytree(dataset.folder / "hearts", folder / "hearts", dirs_exist_ok=True)
    both = replace(
        one,
        folder=folder,
        structures=tuple(dict.fromkeys([*one.structures, *other.structures])),
        label_sets={**one.label_sets, **other.label_sets},
        hearts=tuple(sorted([*one.hearts, *other.hearts], key=lambda heart: heart.name)),
    )
    both.write()
    return both


def show(title: str, found: Mapping[str, Mapping[str, float]], console: Console) -> None:
    known = [*MAIN, *GROWS_ON]
    others = {name for means in found.values() for name in means} - {*known, "main", "mean"}
    columns = [*known, *sorted(others), "main", "mean"]
    names = [name for name in columns if any(name in means for means in found.values())]
    table = Table(title=title)
    for heading in ("", *names):
        table.add_column(heading, justify="right")
    for contender, means in found.items():
        cells = (f"{means[name]:.3f}" if name in means else "–" for name in names)
        table.add_row(contender, *cells)
    console.print(table)


def run(folder: Path, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    phantoms = prepared(phantom_maps(folder / "labels", options), folder / "phantoms", "default")
    runs = {preset: folder / f"phantoms-{preset}" for preset in ("tiny", "tiny-partial")}
    models = {
        preset: trained_on(phantoms.folder, runs[preset], preset, options.steps) for preset in runs
    }
    unseen = hearts_of("phantoms", phantoms, options.unseen)
    model, teacher = models["tiny-partial"], runs["tiny-partial"]
    cases = at_random(unseen, 3, options.times)
    found = completed(unseen, model, teacher, cases, options.times)
    found["whole"] = {preset: whole(unseen, model) for preset, model in models.items()}
    show_completion("phantoms, three structures hidden at random", found, console)
    show("phantoms, observed whole, Dice", found["whole"], console)
    results = {"steps": options.steps, "phantoms": found}
    if not options.real:
        return results
    real = prepared(*real_maps(folder, options))
    alone = trained_on(real.folder, folder / "real-partial", "tiny-partial", options.steps)
    real_unseen = hearts_of("real hearts", real, options.unseen)
    cases = in_turn(real_unseen)
    found = completed(real_unseen, alone, folder / "real-partial", cases, options.times)
    show_completion("real hearts, structures hidden in turn", found, console)
    both = together(folder / "mixed", phantoms, real).folder
    steps = 3 * options.steps // 2
    mixed = trained_on(both, folder / "mixed-partial", "tiny-partial", steps, teacher)
    results |= {"real": found, **learned_together(((unseen, model), (real_unseen, alone)), mixed)}
    for kind, means in results["mixed"].items():
        show(f"{kind}, observed whole: trained alone and together, Dice", means, console)
    for kind, by_times in results["branches"].items():
        show_branches(kind, by_times, console)
    return results


def completed(
    hearts: Hearts,
    trained: TrainedModel,
    run: Path,
    cases: Iterator[tuple[HeartEntry, tuple[str, ...]]],
    times: int,
) -> dict[str, Any]:
    """Score the completion of partial hearts by a model trained on the same kind of hearts."""
    found = hiding(hearts, trained, cases)
    found["calibration"] = calibrate(run, hearts.dataset.folder, few=True).found
    sd_factor = SdFactor.read(run, TrainedModel.from_pretrained(run))
    found["cut"] = cut(hearts, trained, sd_factor, times)
    return found


def learned_together(
    alone: Sequence[tuple[Hearts, TrainedModel]], mixed: TrainedModel
) -> dict[str, Any]:
    """Compare a model trained on two kinds of hearts with models trained on one kind each."""
    return {
        "mixed": {
            kind.name: {"alone": whole(kind, model), "together": whole(kind, mixed)}
            for kind, model in alone
        },
        "branches": {
            kind.name: {times: branches(kind, mixed, times) for times in RECYCLED}
            for kind, _ in alone
        },
    }


def phantom_maps(folder: Path, options: argparse.Namespace) -> list[Path]:
    if folder.exists():
        return sorted(folder.glob("*.nii.gz"))
    return make_phantoms(folder, options.phantoms, 0, 128, SCALE, scale=SCALE)


def real_maps(folder: Path, options: argparse.Namespace) -> tuple[list[Path], Path, str, Path]:
    """Return real hearts' files, the folder for their data set, their label set and their split."""
    maps = {
        split: sorted((options.real / split).glob("*.nii.gz"))[: options.real_count]
        for split in ("train", "val")
    }
    rows = [f"{path.name.split('.')[0]},{split}" for split, paths in maps.items() for path in paths]
    file = folder / "real-split.csv"
    file.write_text("\n".join(["heart,split", *rows]) + "\n")
    return [*maps["train"], *maps["val"]], folder / "real", options.labels, file


def show_completion(title: str, found: Mapping[str, Any], console: Console) -> None:
    show(f"{title}: Dice", found["dice"], console)
    show(f"{title}: ASSD, mm", found["assd_mm"], console)
    kept = found["dice_keeping_observed"]
    show(f"{title}: Dice, keeping observed surfaces", kept, console)
    cuts = found["cut"]
    show(f"{cuts['cuts']} cuts by a random plane: Dice beyond", cuts["dice"], console)
    console.print(f"largest step of a surface at the plane: {cuts['largest_seam_mm']:.3f} mm\n")
    show_uncertainty(found, console)


def show_uncertainty(found: Mapping[str, Any], console: Console) -> None:
    """Show how often the true surface lies within standard deviations, before and after factors."""
    calibration, cuts = found["calibration"], found["cut"]
    table = Table(title="coverage of standard deviations, on hearts not used for the factors, in %")
    table.add_column("")
    for multiple, expected in zip(MULTIPLES, EXPECTED, strict=True):
        table.add_column(f"within {multiple} s.d. ({100 * expected:.1f})", justify="right")
    tested, cut_too = len(calibration["hearts_tested"]), len(cuts["uncertainty_hearts"])
    rows = {
        f"hidden in turn ({tested} hearts), without factors": calibration["before"],
        f"hidden in turn ({tested} hearts)": calibration["after"],
        f"beyond a plane ({cut_too} hearts)": cuts["uncertainty"],
    }
    for name, coverage in rows.items():
        if coverage:
            table.add_row(name, *(f"{100 * share:.1f}" for share in coverage["within"]))
    console.print(table)


def show_branches(
    kind: str, found: Mapping[int, Mapping[str, Mapping[str, float]]], console: Console
) -> None:
    table = Table(title=f"{kind}, trained together: hidden structures that grow on others")
    for heading in (
        "",
        "recycled",
        "in % of hearts",
        "ml",
        "mean",
        "true",
        "Dice",
        "largest distance from parent, mm",
        "% in pieces touching it",
    ):
        table.add_column(heading, justify="right")
    for name, parent in GROWS_ON.items():
        for times, of_times in found.items():
            branch = of_times[name]
            table.add_row(
                f"{name} (on {parent})",
                str(times),
                f"{100 * branch['share_of_hearts']:.0f}",
                f"{branch['smallest_ml']:.1f}–{branch['largest_ml']:.1f}",
                f"{branch['mean_ml']:.1f}",
                f"{branch['true_ml']:.1f}" if "true_ml" in branch else "–",
                f"{branch['dice']:.3f}" if "dice" in branch else "–",
                f"{branch['farthest_from_parent_mm']:.1f}",
                f"{100 * branch['share_attached']:.0f}",
            )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=2400, help="training steps; 1.5 times as many for mixed hearts"
    )
    parser.add_argument("--phantoms", type=int, default=48)
    parser.add_argument("--unseen", type=int, default=8, help="scored hearts of each kind")
    parser.add_argument("--times", type=int, default=2, help="cases of each such heart")
    parser.add_argument("--real", type=Path, help="folder of label maps in train/ and val/")
    parser.add_argument("--real-count", type=int, default=60)
    parser.add_argument("--labels", default="heartchambers", help="label set of the real hearts")
    parser.add_argument("--quick", action="store_true", help="check in minutes that it runs")
    parser.add_argument("--runs", type=Path, help="folder for data and models, to reuse them")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/completion.json"))
    options = parser.parse_args()
    if options.quick:
        options.steps, options.phantoms, options.unseen, options.times = 100, 10, 1, 1
        options.real_count = 10
    console = Console(width=max(Console().width, WIDTH))
    with tempfile.TemporaryDirectory() as temporary:
        results = run(options.runs or Path(temporary), options, console)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
