"""Shape spaces: what ordered latents lose, how modes describe unseen hearts, and new hearts.

    python benchmarks/shape.py FITTED… --unseen UNSEEN… [--samples 12] [--json FILE]

Each heart is a label map. Dice is the mean over its structures, on its own grid of about 2 mm.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.frame import Frame
from vecsetx.data.find_hearts import find_hearts
from vecsetx.evaluation.overlap import overlaps
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import LATENTS_FACTOR, POINTS_FACTOR
from vecsetx.inference.posing import rotation_of
from vecsetx.model.anchors import anchors_by_structure
from vecsetx.model.built_in import built_in_model
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.population.heart_tables import encode_table, field_of, template_of
from vecsetx.population.shape_space import HeartTable, ShapeSpace
from vecsetx.population.template import Template, in_units
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import Observation, observe

GRID_MM = 2.0
MODES = (3, 5, 9)


@dataclass(frozen=True, slots=True)
class BenchmarkHeart:
    """A heart with what the benchmark needs of it."""

    name: str
    geometry: Geometry
    seen: Observation


def read(paths: Sequence[Path], trained: TrainedModel) -> list[BenchmarkHeart]:
    """Read hearts, posed as the model's training hearts lie, on a coarse grid."""
    found = []
    for name, source in find_hearts(paths).items():
        segmentation = source.resolved().segmentation(trained.structures)
        geometry = segmentation.geometry()
        rotation = rotation_of(geometry, trained, 0)
        count = POINTS_FACTOR * trained.points
        seen = observe(geometry, count, trained.mm_per_unit, 0, rotation)
        stride = max(round(GRID_MM / float(geometry.label_map.spacing_mm.min())), 1)
        coarse = replace(geometry, label_map=geometry.label_map.downsampled(stride))
        found.append(BenchmarkHeart(name, coarse, seen))
    return found


def dice(field: HeartField, heart: BenchmarkHeart) -> float:
    """Return the mean Dice over the heart's structures."""
    truth = heart.geometry.label_map
    scores = overlaps(truth.labels, rasterize(field, truth).labels, len(field.structures))
    present = heart.geometry.present()
    return float(np.mean([s.dice for s, p in zip(scores, present, strict=True) if p]))


@torch.no_grad()
def free(heart: BenchmarkHeart, trained: TrainedModel, structures: Sequence[str]) -> float:
    """Return the Dice with anchors by farthest points, as many as the template has."""
    points, normals = in_units(heart.seen)
    count = LATENTS_FACTOR * trained.network.spec.anchors
    chosen = anchors_by_structure(
        torch.from_numpy(points)[None], torch.from_numpy(heart.seen.structure)[None], count
    )
    encoded = trained.network.encode(
        torch.from_numpy(points)[None],
        torch.from_numpy(heart.seen.structure)[None],
        chosen,
        torch.from_numpy(normals)[None],
    )
    assert encoded.positions is not None
    table = HeartTable(
        encoded.positions[0].numpy(), encoded.latents[0].numpy(), np.ones(count, dtype=bool)
    )
    return dice(field_of(table, trained, structures, heart.seen.frame), heart)


def of_unseen(
    unseen: Sequence[BenchmarkHeart],
    fitted: Sequence[HeartTable],
    names: Sequence[str],
    template: Template,
    trained: TrainedModel,
    structures: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Return, of each unseen heart, its Dice by ordered latents, by modes and by the nearest."""
    space = ShapeSpace.fit(fitted)
    found: dict[str, dict[str, Any]] = {}
    for heart in unseen:
        own, frame, _ = encode_table(heart.seen, trained, template)

        def score(table: HeartTable, frame: Frame = frame, heart: BenchmarkHeart = heart) -> float:
            return dice(field_of(table, trained, structures, frame), heart)

        away = [
            np.linalg.norm(own.positions - other.positions, axis=1)[own.there & other.there].mean()
            for other in fitted
        ]
        nearest = int(np.argmin(away))
        tried = {str(k): k for k in MODES if k < len(space.sd)} | {"all": len(space.sd)}
        modes = {word: score(space.table(space.coordinates(own, k))) for word, k in tried.items()}
        found[heart.name] = {
            "free": free(heart, trained, structures),
            "ordered": score(own),
            "modes": modes,
            "mean heart": score(space.table(np.zeros(len(space.sd)))),
            "nearest heart": score(fitted[nearest]),
            "nearest": names[nearest],
        }
    return found


def whole_samples(
    space: ShapeSpace, trained: TrainedModel, structures: Sequence[str], count: int, seed: int
) -> int:
    """Return of how many new hearts every structure is in one piece."""
    columns = [trained.structures.index(name) + 1 for name in structures]
    whole = 0
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        table = space.table(generator.standard_normal(len(space.sd)))
        field = field_of(table, trained, structures)
        low_mm, high_mm = extent_mm(field, *field.domain.domain_mm())
        labels = rasterize(field, Grid.around(low_mm, high_mm, GRID_MM)).labels
        whole += all(number_pieces(labels == k)[1] == 1 for k in columns)
    return whole


def main() -> None:
    """Print a row per unseen heart, and what is found of samples."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fitted", nargs="+", type=Path, help="label maps of the cohort")
    parser.add_argument("--unseen", nargs="+", type=Path, required=True, help="other hearts")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    trained = TrainedModel.from_pretrained(given.model or built_in_model())
    cohort = read(given.fitted, trained)
    template = template_of(cohort[0].seen, trained)
    structures = [trained.structures[k] for k in np.unique(template.structure[: template.anchors])]
    tables = [encode_table(heart.seen, trained, template).table for heart in cohort]
    names = [heart.name for heart in cohort]
    unseen = read(given.unseen, trained)
    found = of_unseen(unseen, tables, names, template, trained, structures)
    space = ShapeSpace.fit(tables)
    whole = whole_samples(space, trained, structures, given.samples, given.seed)
    console = Console()
    shown = Table(title=f"Dice of unseen hearts; {len(cohort)} fitted")
    columns = ["heart", "free anchors", "ordered", *(f"{k} modes" for k in (*MODES, "all"))]
    for column in (*columns, "mean heart", "nearest heart"):
        shown.add_column(column)
    for name, row in found.items():
        cells = [row["free"], row["ordered"], *(row["modes"].get(str(k)) for k in (*MODES, "all"))]
        cells += [row["mean heart"], row["nearest heart"]]
        shown.add_row(name, *("–" if cell is None else f"{cell:.4f}" for cell in cells))
    console.print(shown)
    shares = np.cumsum(space.variance_shares)
    console.print(
        f"{np.searchsorted(shares, 0.9) + 1} of {len(shares)} modes hold 90% of the variance; "
        f"{whole} of {given.samples} samples have every structure in one piece"
    )
    if given.json:
        result = {"unseen": found, "samples": given.samples, "whole": whole, "fitted": names}
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
