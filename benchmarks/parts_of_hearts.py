"""A model on parts of unseen hearts, against the nearest and the mean of the training hearts.

    python benchmarks/parts_of_hearts.py MODEL --train FOLDER[:LABELS] --unseen FOLDER[:LABELS]

Each structure is hidden in turn, and its Dice taken. Then LV, RV and myocardium alone are shown as
a short-axis stack, as data sets of cine MRI have them (10 mm slices of 1.5 mm pixels; Bernard et
al., IEEE TMI 2018, 37(11):2514-2525), and Dice is taken of all structures. The baselines are
aligned with what is shown (:mod:`baselines`). With twelve training hearts and three unseen ones, it
takes about ten minutes.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from baselines import Cohort
from jaxtyping import Float
from partial_hearts import Rows, add_scores, coarse, contenders
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.variation.resampled import corners_mm, grid_around, resampled

IN_STACK = ("LV", "RV", "Myocardium")
"""Structures that a short-axis stack of cine MRI has."""

PIXEL_MM, SLICE_MM = 1.5, 10.0


def label_maps(given: str, structures: tuple[str, ...]) -> Iterator[tuple[str, LabelMap]]:
    """The name and label map (labels 1…K) of each heart of ``FOLDER[:LABELS]``."""
    folder, _, labels = given.partition(":")
    known = label_set(labels or "default")
    for name, heart in find_hearts([Path(folder)], known, "lps", "mm", known).items():
        yield name, heart.segmentation(structures).label_map


def only(label_map: LabelMap, structures: tuple[str, ...], names: tuple[str, ...]) -> LabelMap:
    return label_map.without([k for k, name in enumerate(structures, 1) if name not in names])


def short_axis_stack(heart: LabelMap, structures: tuple[str, ...]) -> LabelMap:
    """Cut a heart into slices across its long axis: the line through the LA's and LV's centres."""
    axes = _across(_centre_mm(heart, structures, "LV") - _centre_mm(heart, structures, "LA"))
    shown = only(heart, structures, IN_STACK)
    spacing_mm = np.array([PIXEL_MM, PIXEL_MM, SLICE_MM])
    return resampled(shown, *grid_around(corners_mm(shown), axes, spacing_mm, 2 * PIXEL_MM))


def _centre_mm(heart: LabelMap, structures: tuple[str, ...], name: str) -> Float[np.ndarray, "3"]:
    found = np.argwhere(heart.labels == structures.index(name) + 1)
    return heart.to_mm(found.mean(axis=0))


def _across(axis: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Return right-handed unit vectors, as columns, of which the last is along an axis."""
    last = axis / np.linalg.norm(axis)
    first = np.cross(last, np.eye(3)[np.abs(last).argmin()])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(last, first), last], axis=1)


def measure(options: argparse.Namespace) -> tuple[Rows, Rows]:
    """Dice of each structure when it is hidden, and of all when a stack is shown."""
    trained = TrainedModel.from_pretrained(options.model)
    structures = trained.structures
    training = (
        (coarse(heart), [structures[k - 1] for k in np.unique(heart.labels) if k])
        for _, heart in label_maps(options.train, structures)
    )
    cohort = Cohort.of(training, structures)
    hidden: Rows = defaultdict(list)
    in_stack: Rows = defaultdict(list)
    for name, heart in label_maps(options.unseen, structures):
        truth = coarse(heart)
        present = [structures[k - 1] for k in np.unique(heart.labels) if k]
        shown = [
            (hidden, (hide,), only(heart, structures, tuple({*present} - {hide})))
            for hide in present
        ] + [(in_stack, tuple(present), short_axis_stack(heart, structures))]
        for rows, scored, label_map in shown:
            geometry = Geometry.of_label_map(label_map, len(structures))
            for contender, field in contenders(geometry, trained, cohort).items():
                found = rasterize(field, truth)
                add_scores(rows, contender, truth, found, structures, scored)
            print(name, *scored, {key: values[-1] for key, values in rows.items()}, flush=True)
    return hidden, in_stack


def show(title: str, rows: Rows) -> None:
    names = list(dict.fromkeys(name for _, name in rows))
    table = Table("contender", *names, "mean", title=title)
    for contender in dict.fromkeys(contender for contender, _ in rows):
        means = [statistics.fmean(rows[contender, name]) for name in names]
        table.add_row(contender, *(f"{mean:.3f}" for mean in [*means, statistics.fmean(means)]))
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a run's folder, or that of a saved model")
    parser.add_argument("--train", required=True, metavar="FOLDER[:LABELS]")
    parser.add_argument("--unseen", required=True, metavar="FOLDER[:LABELS]")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    hidden, in_stack = measure(options)
    show("Dice of each structure when it is hidden", hidden)
    show("Dice when a short-axis stack of LV, RV and myocardium is shown", in_stack)
    if options.json:
        tables = {
            kind: [{"contender": c, "structure": s, "dice": v} for (c, s), v in rows.items()]
            for kind, rows in (("hidden", hidden), ("stack", in_stack))
        }
        options.json.write_text(json.dumps(tables, indent=2) + "\n")


if __name__ == "__main__":
    main()
