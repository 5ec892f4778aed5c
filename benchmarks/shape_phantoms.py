"""New hearts of a shape space of phantoms, held against fresh phantoms: the truth is known.

    python benchmarks/shape_phantoms.py [--count 500] [--samples 200] [--json FILE]

A space is fitted to COUNT phantoms of real size; as many fresh ones have other seeds. All hearts
are taken as the model reconstructs them. Distances are those between surfaces, mm, both ways.

* *1-NNA*: how often the nearest of all other hearts is of the same kind, new or fresh; 0.5 if they
  cannot be told apart (Lopez-Paz and Oquab, ICLR 2017).
* *coverage*: the share of fresh hearts that are the nearest fresh one of some new heart; beside it,
  that of as many other fresh hearts.
* *memorisation*: the median distance of new hearts from the nearest fitted one, over that of fresh
  hearts.
* *volumes*: the Kolmogorov-Smirnov distance between new and fresh hearts, by structure.

Intervals are those of a bootstrap over hearts, 95%.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.spatial import cKDTree
from scipy.stats import ks_2samp

from vecsetx.anatomy.phantom.phantom_heart import PhantomHeart
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.model.built_in import built_in_model
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.population.heart_tables import (
    encode_table,
    field_of,
    label_map_of,
    observed_heart,
    template_of,
)
from vecsetx.population.shape_space import HeartTable, ShapeSpace
from vecsetx.population.template import Template
from vecsetx.sampling.observation import Observation

SCALE, SIZE, SPACING_MM = 1.25, 128, 1.25
"""Size of the phantoms, and their label maps."""

VOLUME_MM = 3.0
"""Voxels for volumes."""

STEP_MM = 0.5
"""Step of the finite differences that give normals."""

RESAMPLES = 2000


@dataclass(frozen=True)
class Surfaces:
    """A heart by its anchors, as the model reconstructs it.

    Attributes:
        anchors_mm: ``[M, 3]``.
        normals: ``[M, 3]``.
        volumes_ml: ``[S]``.
    """

    anchors_mm: np.ndarray
    normals: np.ndarray
    volumes_ml: np.ndarray


@dataclass(frozen=True)
class Setting:
    """What workers need."""

    model: Path
    template: Template
    structures: tuple[str, ...]


@cache
def model_of(folder: Path) -> TrainedModel:
    torch.set_num_threads(1)
    return TrainedModel.from_pretrained(folder)


def seen(seed: int, trained: TrainedModel) -> Observation:
    """Return the surface points of a phantom."""
    phantom = PhantomHeart.random(np.random.default_rng([seed, 77]), SCALE)
    label_map = phantom.voxelize(SIZE, SPACING_MM)
    return observed_heart(Geometry.of_label_map(label_map, len(trained.structures)), trained)[0]


def encoded(seed: int, setting: Setting) -> tuple[HeartTable, Surfaces]:
    """Make a phantom and encode it."""
    trained = model_of(setting.model)
    table = encode_table(seen(seed, trained), trained, setting.template).table
    return table, surfaces_of(table, setting)


def surfaces_of(table: HeartTable, setting: Setting) -> Surfaces:
    """Reconstruct a table around the origin."""
    trained = model_of(setting.model)
    field = field_of(table, trained, setting.structures)
    anchors_mm = table.positions.astype(np.float64) * trained.mm_per_unit
    rows = setting.template.structure[: setting.template.anchors]
    label_map = label_map_of(field, VOLUME_MM)
    voxels = np.bincount(label_map.labels.ravel(), minlength=len(trained.structures) + 1)[1:]
    columns = [trained.structures.index(name) for name in setting.structures]
    volumes_ml = voxels[columns] * label_map.voxel_volume_mm3 / 1000
    return Surfaces(anchors_mm, normals_of(field, anchors_mm, rows), volumes_ml)


def normals_of(field: HeartField, points_mm: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """Return the direction in which the distance to each point's structure grows."""
    found = np.empty_like(points_mm)
    own = np.arange(len(points_mm)), structure
    for axis in range(3):
        step = STEP_MM * np.eye(3)[axis]
        ends = [field.distances_mm(points_mm + side * step)[own] for side in (1, -1)]
        found[:, axis] = ends[0] - ends[1]
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def distances_mm(
    first: Sequence[Surfaces], second: Sequence[Surfaces], structure: np.ndarray
) -> np.ndarray:
    """Return the distances of all pairs, ``[first, second]``, the mean of both ways.

    As :func:`vecsetx.population.surface_distance.surface_distance`, with each tree built once.
    """
    groups = [np.flatnonzero(structure == k) for k in np.unique(structure)]

    def one_way(hearts: Sequence[Surfaces], to: Sequence[Surfaces]) -> np.ndarray:
        found = np.zeros((len(hearts), len(to)))
        points = np.stack([heart.anchors_mm for heart in hearts])
        for place, other in enumerate(track(to, "distances")):
            away = np.empty(points.shape[:2])
            for rows in groups:
                anchors, normals = other.anchors_mm[rows], other.normals[rows]
                _, nearest = cKDTree(anchors).query(points[:, rows])
                offsets = points[:, rows] - anchors[nearest]
                away[:, rows] = np.abs((offsets * normals[nearest]).sum(axis=2))
            found[:, place] = away.mean(axis=1)
        return found

    return (one_way(first, second) + one_way(second, first).T) / 2


def nearest_is_alike(new: np.ndarray, across: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return of each heart, new ones first, whether its nearest other heart is of its kind."""
    whole = np.block([[new, across], [across.T, fresh]])
    np.fill_diagonal(whole, np.inf)
    kind = np.repeat([0, 1], [len(new), len(fresh)])
    return kind[whole.argmin(axis=1)] == kind


def coverage(across: np.ndarray) -> float:
    """Return the share of the second hearts that are nearest to some first one."""
    return len(np.unique(across.argmin(axis=1))) / across.shape[1]


def interval(values: np.ndarray, of: Callable[..., np.ndarray] = np.mean) -> list[float]:
    """95% interval of a mean or median."""
    some = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    return np.quantile(of(some, axis=1), [0.025, 0.975]).round(3).tolist()


def scored(
    fitted: Sequence[Surfaces],
    fresh: Sequence[Surfaces],
    new: Sequence[Surfaces],
    setting: Setting,
) -> dict[str, Any]:
    """Return all numbers. The first fresh hearts, as many as new ones, are compared with these."""
    rows = setting.template.structure[: setting.template.anchors]
    some, others = fresh[: len(new)], fresh[len(new) : 2 * len(new)]
    across = distances_mm(new, some, rows)
    alike = nearest_is_alike(distances_mm(new, new, rows), across, distances_mm(some, some, rows))
    to_fitted = {
        "new": distances_mm(new, fitted, rows).min(axis=1),
        "fresh": distances_mm(some, fitted, rows).min(axis=1),
    }
    volumes = [np.stack([heart.volumes_ml for heart in hearts]) for hearts in (new, fresh)]
    return {
        "fitted": len(fitted),
        "fresh": len(fresh),
        "new": len(new),
        "1-NNA": float(alike.mean()),
        "1-NNA interval": interval(alike.astype(float)),
        "coverage": coverage(across),
        "coverage of fresh hearts": coverage(distances_mm(others, some, rows)) if others else None,
        "nearest fitted, mm": {
            kind: {"median": float(np.median(v)), "interval": interval(v, np.median)}
            for kind, v in to_fitted.items()
        },
        "memorisation": float(np.median(to_fitted["new"]) / np.median(to_fitted["fresh"])),
        "ks": {
            name: float(ks_2samp(volumes[0][:, k], volumes[1][:, k]).statistic)
            for k, name in enumerate(setting.structures)
        },
    }


def run(count: int, samples: int, model: Path | None, workers: int) -> dict[str, Any]:
    """Make the phantoms, fit the space and draw from it."""
    folder = model or built_in_model()
    trained = model_of(folder)
    template = template_of(seen(0, trained), trained)
    columns = np.unique(template.structure[: template.anchors])
    setting = Setting(folder, template, tuple(trained.structures[k] for k in columns))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(encoded, seed, setting) for seed in range(2 * count)]
        hearts = [job.result() for job in track(jobs, "phantoms")]
        space = ShapeSpace.fit([table for table, _ in hearts[:count]])
        rows = np.random.default_rng(0).standard_normal((samples, len(space.sd)))
        drawn = [pool.submit(surfaces_of, space.table(row), setting) for row in rows]
        new = [job.result() for job in track(drawn, "new hearts")]
    surfaces = [heart for _, heart in hearts]
    return scored(surfaces[:count], surfaces[count:], new, setting)


def show(found: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = Table(title="{fitted} phantoms fitted, {fresh} fresh, {new} new hearts".format(**found))
    for column in ("", "", "95%"):
        table.add_column(column)
    low, high = found["1-NNA interval"]
    table.add_row("1-NNA", f"{found['1-NNA']:.3f}", f"{low:.3f}–{high:.3f}")
    table.add_row("coverage", f"{found['coverage']:.3f}", "")
    if found["coverage of fresh hearts"] is not None:
        table.add_row("coverage by fresh hearts", f"{found['coverage of fresh hearts']:.3f}", "")
    for kind, row in found["nearest fitted, mm"].items():
        low, high = row["interval"]
        cells = f"{row['median']:.2f}", f"{low:.2f}–{high:.2f}"
        table.add_row(f"{kind}: nearest fitted, mm", *cells)
    table.add_row("of fresh hearts' distance", f"{found['memorisation']:.3f}", "")
    for name, value in found["ks"].items():
        table.add_row(f"volume of {name}: KS", f"{value:.3f}", "")
    console.print(table)


def main() -> None:
    """Print the table, and write what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=500, help="phantoms of each kind")
    parser.add_argument("--samples", type=int, default=200, help="new hearts")
    parser.add_argument("--model", type=Path, default=None, help="default: the built-in one")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = run(given.count, given.samples, given.model, given.workers)
    show(found, Console())
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
