"""What refinement costs and gains: python benchmarks/refinement.py MODEL [--real FOLDER].

Each heart is shown whole, with two structures hidden, cut by a random plane, and as bare points.
Costs are CPU time on one core, relative to a whole ``reconstruct`` without refinement of the same
heart in the same process. Dice is that of label maps, where the heart is observed and where it is
inferred. Unseen hearts are phantoms of a seed of their own, and the label maps of ``--real``.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource
from vecsetx.evaluation.cut import Cut
from vecsetx.evaluation.overlap import overlaps
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart, encode_observation
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.inference.heart_files import label_map_files, mesh_files
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import observe

SEED = 20261128
"""Of the phantoms, which no model has seen."""

STEPS = (0, 5, 10, 20, 50, 100, 150)
MOST_OF_PARTIAL = 50
"""Partial hearts and points are refined in at most as many of these."""

SCORE_MM = 2.0
"""Voxel edge of the grid for scores."""


@dataclass(frozen=True)
class Case:
    """One way to show a heart.

    Attributes:
        way: The way.
        shown: The part that is shown.
        truth: The whole heart.
        inferred: Which labels and voxels of it are not shown: ``[K, i, j, k]``, or one that fits.
    """

    way: str
    shown: Geometry
    truth: LabelMap
    inferred: Bool[np.ndarray, "..."]

    def field(self, trained: TrainedModel, steps: int) -> HeartField:
        options = EncodeOptions(refine=steps)
        if self.way != "points":
            return encode_heart(self.shown, trained, options)
        count = 4 * trained.points
        points = replace(observe(self.shown, count, trained.mm_per_unit, 0), normals=None)
        return encode_observation(points, trained, options)

    def dice(self, field: HeartField) -> dict[tuple[str, str], float]:
        """(part, structure) → Dice; only of parts that the truth has more than 50 voxels of."""
        names, found = field.structures, rasterize(field, Grid.of(self.truth)).labels
        scores = {}
        for part, mask in (("observed", ~self.inferred), ("inferred", self.inferred)):
            for k, name in enumerate(names):
                where = np.broadcast_to(mask, (len(names), *found.shape))[k]
                true = np.where(where, self.truth.labels == k + 1, False)
                made = np.where(where, found == k + 1, False)
                if true.sum() > 50:
                    (overlap,) = overlaps(true.astype(np.uint8), made.astype(np.uint8), 1)
                    scores[part, name] = overlap.dice or 0.0
        return scores


def cases(truth: LabelMap, count: int, index: int) -> Iterator[Case]:
    generator = np.random.default_rng([SEED, 1, index])
    coarse = truth.downsampled(max(round(SCORE_MM / float(truth.spacing_mm.max())), 1))
    whole, none = Geometry.of_label_map(truth, count), np.zeros((count, 1, 1, 1), dtype=bool)
    yield Case("whole", whole, coarse, none)
    there = np.unique(truth.labels[truth.labels > 0])
    hidden = generator.choice(there, 2, replace=False)
    inferred = none.copy()
    inferred[hidden - 1] = True
    left = truth.without(hidden.tolist())
    yield Case("two hidden", Geometry.of_label_map(left, count), coarse, inferred)
    cut = Cut.at_random(truth.downsampled(2) if truth.spacing_mm.max() < 1 else truth, generator)
    beyond = (np.arange(len(cut.whole.labels)) < cut.first)[None, :, None, None]
    yield Case("cut", Geometry.of_label_map(cut.left, count), cut.whole, beyond)
    yield Case("points", whole, coarse, none)


def default_seconds(source: HeartSource, trained: TrainedModel, folder: Path) -> float:
    """CPU time of encoding, meshing, labelling and writing one heart without refinement."""
    began = time.process_time()
    heart = Heart.of(source, trained, EncodeOptions(refine=0))
    meshes = heart.meshes(MeshOptions())
    known = heart.vertex_attributes(meshes)
    labels = heart.label_map(meshes, None)
    for file in (*mesh_files(heart, meshes, known, "lps", "vtp"), *label_map_files(heart, labels)):
        if file.write:
            file.write(folder / file.name)
    return time.process_time() - began


def hearts(trained: TrainedModel, count: int, real: list[Path], folder: Path) -> dict[str, Any]:
    """Write phantoms, and find the real hearts: kind and name → source."""
    ids = label_set("default")
    for index in range(count):
        truth = PhantomHeart.random(np.random.default_rng([SEED, index])).voxelize(128, 1.0)
        path = folder / "phantoms" / f"phantom{index}.nii.gz"
        write_label_map(truth.to_label_set(ids, ids.structures), path)
    found = {}
    for kind, paths in (("phantom", [folder / "phantoms"] if count else []), ("real", real)):
        if paths:
            for name, source in find_hearts(paths, ids, "lps", "mm", ids).items():
                found[f"{kind} {name}"] = source
    return found


def measure(
    trained: TrainedModel, sources: dict[str, Any], steps: tuple[int, ...], folder: Path
) -> list[dict[str, Any]]:
    """Return a row per heart, way and number of steps."""
    rows = []
    for index, (name, source) in enumerate(sources.items()):
        base_s = default_seconds(source, trained, folder)
        truth = source.segmentation(trained.structures).label_map
        for case in cases(truth, len(trained.structures), index):
            before: dict[tuple[str, str], float] = {}
            plain_s = 0.0
            most = max(steps) if case.way == "whole" else MOST_OF_PARTIAL
            for count in (number for number in steps if number <= most):
                began = time.process_time()
                field = case.field(trained, count)
                seconds = time.process_time() - began
                scores = case.dice(field)
                if not count:
                    before, plain_s = scores, seconds
                row = {
                    "heart": name,
                    "way": case.way,
                    "steps": count,
                    "cost": (seconds - plain_s) / base_s,
                    "default_s": base_s,
                    "kept": field.refinement.steps if field.refinement else 0,
                }
                for part in ("observed", "inferred"):
                    own = [key for key in scores if key[0] == part]
                    if own:
                        row[part] = float(np.mean([scores[key] for key in own]))
                        row[f"{part}_change"] = row[part] - float(np.mean([before[k] for k in own]))
                rows.append(row)
                print(json.dumps(row), flush=True)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Refinement: cost relative to reconstruct, Dice (worst to best change)")
    for heading in ("hearts", "shown", "steps", "cost", "observed", "inferred"):
        table.add_column(heading, justify="right")
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["heart"].split()[0], row["way"], row["steps"]].append(row)
    for (kind, way, steps), own in groups.items():
        cells = []
        for part in ("observed", "inferred"):
            scored = [row for row in own if part in row]
            changes = [row[f"{part}_change"] for row in scored]
            mean = np.mean([row[part] for row in scored]) if scored else 0.0
            worst_to_best = f"({min(changes):+.3f} to {max(changes):+.3f})" if scored else ""
            cells.append(f"{mean:.3f} {worst_to_best}" if scored else "")
        cost = float(np.mean([row["cost"] for row in own]))
        table.add_row(f"{len(own)} {kind}", way, str(steps), f"{cost:.0%}", *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a run's folder")
    parser.add_argument("--count", type=int, default=3, help="number of phantoms")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="label maps, default ids")
    parser.add_argument("--steps", type=int, nargs="*", default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/refinement"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.from_pretrained(options.model)
    options.out.mkdir(parents=True, exist_ok=True)
    sources = hearts(trained, options.count, options.real, options.out)
    rows = measure(trained, sources, (0, *(n for n in options.steps if n)), options.out)
    show(rows)
    (options.out / "refinement.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
