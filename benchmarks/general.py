"""Dice of a model on hearts that it was not trained on, as they lie and turned.

    python benchmarks/general.py MODEL --hearts NAME=FOLDER[:LABELS] … [--cube] [--turns 20]

Each heart is reconstructed as it lies, turned about the scanner's origin by the 24 rotations of the
cube (``--cube``) and by random ones. Its header is turned, so that no voxel changes. Dice is taken
on its own grid, at every second or third voxel, over all structures that its label map annotates.
``--pose scan`` leaves hearts as they lie. A heart takes about 3 s per pose.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.evaluation.overlap import overlaps
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize

SEED = 20261129
"""Of the random rotations."""

SCORE_MM = 2.0
"""Voxel edge of the grid for scores, about."""


def rotations(cube: bool, turns: int) -> Iterator[tuple[str, Rotation]]:
    """The kind of each pose, and its rotation."""
    yield "as it lies", Rotation.identity()
    if cube:
        for turn in Rotation.create_group("O")[1:]:
            yield "cube", turn
    if turns:
        for turn in Rotation.random(turns, random_state=SEED):
            yield "random", turn


def dice(
    label_map: LabelMap, turn: Rotation, trained: TrainedModel, options: EncodeOptions
) -> dict[str, float]:
    """Structure → Dice of a heart's reconstruction, for those that it has."""
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix()
    turned = replace(label_map, affine=affine @ label_map.affine)
    names = trained.structures
    field = encode_heart(Geometry.of_label_map(turned, len(names)), trained, options)
    truth = turned.downsampled(max(round(SCORE_MM / float(turned.spacing_mm.max())), 1))
    found = rasterize(field, Grid.of(truth))
    scored = zip(names, overlaps(truth.labels, found.labels, len(names)), strict=True)
    return {name: overlap.dice or 0.0 for name, overlap in scored if overlap.truth}


def measure(
    trained: TrainedModel, source: str, folder: Path, labels: str, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row per heart and pose."""
    encode = EncodeOptions(refine=options.refine, pose=options.pose, complete=options.complete)
    rows: list[dict[str, Any]] = []
    known = label_set(labels)
    for name, heart in find_hearts([folder], known, "lps", "mm", known).items():
        label_map = heart.segmentation(trained.structures).label_map
        for kind, turn in rotations(options.cube, options.turns):
            structures = dice(label_map, turn, trained, encode)
            row = {
                "source": source,
                "heart": name,
                "pose": kind,
                "turn_deg": float(np.degrees(turn.magnitude())),
                "dice": float(np.mean(list(structures.values()))),
                "structures": structures,
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    structures = list(dict.fromkeys(name for row in rows for name in row["structures"]))
    table = Table(title="Dice: mean over hearts, poses and structures (worst pose of a heart)")
    for heading in ("hearts", "poses", "mean", "worst", *structures):
        table.add_column(heading, justify="right")
    for source, kind in dict.fromkeys((row["source"], row["pose"]) for row in rows):
        own = [row for row in rows if (row["source"], row["pose"]) == (source, kind)]
        hearts = len({row["heart"] for row in own})
        each = [[r["structures"][n] for r in own if n in r["structures"]] for n in structures]
        table.add_row(
            f"{hearts} {source}",
            f"{len(own) // hearts} {kind}",
            f"{np.mean([row['dice'] for row in own]):.3f}",
            f"{min(row['dice'] for row in own):.3f}",
            *(f"{np.mean(values):.3f}" if values else "" for values in each),
        )
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a run's folder")
    parser.add_argument("--hearts", nargs="+", required=True, metavar="NAME=FOLDER[:LABELS]")
    parser.add_argument("--cube", action="store_true", help="the 24 rotations of the cube")
    parser.add_argument("--turns", type=int, default=2, help="random rotations")
    parser.add_argument("--pose", choices=("anatomy", "scan"), default="anatomy")
    parser.add_argument("--refine", type=int, default=0)
    parser.add_argument("--complete", action="store_true", help="as of vecsetx reconstruct")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.from_pretrained(options.model)
    rows = []
    for given in options.hearts:
        source, _, place = given.partition("=")
        folder, _, labels = place.partition(":")
        rows += measure(trained, source, Path(folder), labels or "default", options)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
