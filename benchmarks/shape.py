"""Shape spaces: what ordered latents lose, how modes describe unseen hearts, and new hearts.

    python benchmarks/shape.py FITTED… --unseen UNSEEN… [--leave-one-out] [--samples 500]
        [--json FILE]

FITTED and UNSEEN are label maps, or folders of them. All hearts are turned and moved as
``vecsetx shape fit`` does it. A space of signed distances on a grid of 3 mm
(``benchmarks/grid_shapes.py``) is the baseline, on the same hearts.

* *ordering*: Dice of unseen hearts by free anchors and by corresponding ones.
* *generalisation*: mean distance of an unseen heart's surfaces from those of the heart at its
  coordinates along 3, 5, 9 and all modes, both ways, mm. With ``--leave-one-out``, each fitted
  heart is unseen once, too.
* *specificity*: mean distance of a new heart's surfaces from those of the nearest fitted heart, mm.
* *compactness*: modes that hold 90% of the variance (of the positions; of the distances).
* *volumes*: Wasserstein distance between new and fitted hearts, ml.
* *validity* of new hearts: every structure in one piece, structures that always touch touch.

Intervals are those of a bootstrap over hearts, 95%.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import igl
import numpy as np
import torch
from grid_shapes import GridSpace, GridSurface, at, distances_of, grid_points_mm, surface_of
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import wasserstein_distance

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.find_hearts import find_hearts
from vecsetx.evaluation.overlap import overlaps
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import LATENTS_FACTOR, POINTS_FACTOR
from vecsetx.inference.heart_meshes import heart_meshes, mesh_grid
from vecsetx.inference.posing import rotation_of
from vecsetx.model.anchors import anchors_by_structure
from vecsetx.model.built_in import built_in_model
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.population.carried_surfaces import carried_surfaces
from vecsetx.population.heart_tables import encode_table, field_of, label_map_of, template_of
from vecsetx.population.neighbours import always_touching, contact_mm2
from vecsetx.population.shape_space import HeartTable, ShapeSpace
from vecsetx.population.template import Template, in_units
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe

GRID_MM = 2.0
"""Voxels for Dice, and for the pieces of new hearts."""

DISTANCE_MM = 1.25
"""Voxels of the label maps that true distances are computed from."""

MODES = (3, 5, 9)
MESH_FACES = 12_000
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class BenchmarkHeart:
    """A heart with what the benchmark needs of it.

    Attributes:
        name: Its name.
        geometry: The heart on a coarse grid, for Dice.
        fine: Its label map, for distances.
        seen: Its surface points.
    """

    name: str
    geometry: Geometry
    fine: LabelMap
    seen: Observation


@dataclass(frozen=True, slots=True)
class PlacedHeart:
    """A heart in the common place.

    Attributes:
        table: Its anchors and latents.
        frame: Its frame.
        grid: ``[side, side, side, S]`` true signed distances in the common place, mm.
        points: ``[n, 3]`` points on its true surfaces there, mm.
        structure: Index of each point's structure among the S.
        volumes_ml: ``[S]``.
    """

    table: HeartTable
    frame: Frame
    grid: np.ndarray
    points: np.ndarray
    structure: np.ndarray
    volumes_ml: np.ndarray


def read(paths: Sequence[Path], trained: TrainedModel) -> list[BenchmarkHeart]:
    """Read hearts, posed as the model's training hearts lie."""
    found = []
    for name, source in find_hearts(paths).items():
        geometry = source.resolved().segmentation(trained.structures).geometry()
        rotation = rotation_of(geometry, trained, 0)
        count = POINTS_FACTOR * trained.points
        seen = observe(geometry, count, trained.mm_per_unit, 0, rotation)
        whole, finest_mm = geometry.label_map, float(geometry.label_map.spacing_mm.min())
        coarse, fine = (
            whole.downsampled(max(round(mm / finest_mm), 1)) for mm in (GRID_MM, DISTANCE_MM)
        )
        found.append(BenchmarkHeart(name, replace(geometry, label_map=coarse), fine, seen))
    return found


class Spaces:
    """A shape space, and that of distances on a grid, of the same hearts."""

    def __init__(
        self,
        hearts: Sequence[BenchmarkHeart],
        trained: TrainedModel,
        template: Template | None = None,
    ) -> None:
        self.trained = trained
        self.template = template or template_of(hearts[0].seen, trained)
        self.rows = self.template.structure[: self.template.anchors]
        self.columns = np.unique(self.rows)
        self.structures = tuple(trained.structures[k] for k in self.columns)
        self.placed = [self.place(heart) for heart in hearts]
        self.refit(self.placed)

    def refit(self, placed: Sequence[PlacedHeart]) -> None:
        """Fit both spaces to some of the hearts."""
        self.space = ShapeSpace.fit([heart.table for heart in placed])
        self.grid_space = GridSpace.fit([heart.grid for heart in placed])
        mean = self.field(np.zeros(len(self.space.sd)))
        meshes = heart_meshes(mean, mesh_grid(mean, 128), "closed", MESH_FACES).surfaces
        self.mean = {name: mesh for name, mesh in meshes.items() if name in self.structures}
        self.start_mm = self.anchors_mm(np.zeros(len(self.space.sd)))

    def place(self, heart: BenchmarkHeart) -> PlacedHeart:
        """Encode a heart with corresponding anchors; bring its distances to the common place."""
        table, frame, _ = encode_table(heart.seen, self.trained, self.template)
        mm = frame.mm_per_unit
        points = frame.to_mm(grid_points_mm() / mm)
        k = len(self.trained.structures)
        side = round(len(points) ** (1 / 3))
        grid = distances_of(heart.fine, k, points)[:, self.columns].reshape(side, side, side, -1)
        known = np.isin(heart.seen.structure, self.columns)
        place = np.searchsorted(self.columns, heart.seen.structure[known])
        voxels = np.bincount(heart.fine.labels.ravel(), minlength=k + 1)[1:][self.columns]
        own = frame.to_unit(heart.seen.points_mm[known].astype(np.float64)) * mm
        return PlacedHeart(
            table, frame, grid, own, place, voxels * heart.fine.voxel_volume_mm3 / 1000
        )

    def field(self, coordinates: np.ndarray, frame: Frame | None = None) -> HeartField:
        """Return the heart at coordinates of the shape space."""
        return field_of(self.space.table(coordinates), self.trained, self.structures, frame)

    def anchors_mm(self, coordinates: np.ndarray) -> np.ndarray:
        """Return its anchors in the common place, mm."""
        positions = self.space.table(coordinates).positions
        return positions.astype(np.float64) * self.trained.mm_per_unit

    def surfaces(self, coordinates: np.ndarray) -> dict[str, GridSurface]:
        """Return its surfaces in the common place."""
        ends = self.start_mm, self.anchors_mm(coordinates), self.rows
        found = carried_surfaces(self.mean, *ends, self.field(coordinates))
        return {name: GridSurface(v, self.mean[name].faces) for name, v in found.items()}

    def grid_surfaces(self, grid: np.ndarray) -> dict[str, GridSurface]:
        """Return the surfaces of distances on the grid."""
        found = {name: surface_of(grid[..., k]) for k, name in enumerate(self.structures)}
        return {name: surface for name, surface in found.items() if surface is not None}

    def to_heart_mm(self, surfaces: Mapping[str, GridSurface], heart: PlacedHeart) -> list[float]:
        """Return, by structure, mean distances of surfaces from those of a heart."""
        return [
            float(np.average(np.abs(at(heart.grid[..., k], middle)), weights=area))
            for k, name in enumerate(self.structures)
            if name in surfaces
            for middle, area in [middles(surfaces[name])]
        ]

    def both_ways_mm(self, heart: PlacedHeart, modes: int, on_grid: bool) -> float:
        """Return the ASSD of an unseen heart from that at its coordinates, mean of structures."""
        if on_grid:
            found = self.grid_space.heart(self.grid_space.coordinates(heart.grid, modes))
            surfaces = self.grid_surfaces(found)
        else:
            surfaces = self.surfaces(self.space.coordinates(heart.table, modes))
        back = [
            float(np.sqrt(igl.point_mesh_squared_distance(points, *surfaces[name])[0]).mean())
            for k, name in enumerate(self.structures)
            if name in surfaces
            for points in [heart.points[heart.structure == k]]
        ]
        return float((np.mean(self.to_heart_mm(surfaces, heart)) + np.mean(back)) / 2)


def middles(surface: GridSurface) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of each triangle, mm, and its area."""
    corners = surface.vertices_mm[surface.faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corners.mean(axis=1), np.linalg.norm(across, axis=1)


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


def ordering(spaces: Spaces, unseen: Sequence[BenchmarkHeart]) -> dict[str, dict[str, float]]:
    """Return, of each unseen heart, its Dice by free and by corresponding anchors."""
    found = {}
    for heart in track(unseen, "ordering"):
        placed = spaces.place(heart)
        field = field_of(placed.table, spaces.trained, spaces.structures, placed.frame)
        found[heart.name] = {
            "free": free(heart, spaces.trained, spaces.structures),
            "ordered": dice(field, heart),
        }
    return found


def generalisation(spaces: Spaces, heart: PlacedHeart) -> dict[str, dict[str, float]]:
    """Return way → number of modes → ASSD, mm."""
    count = len(spaces.space.sd)
    tried = {str(k): k for k in MODES if k < count} | {"all": count}
    return {
        way: {word: spaces.both_ways_mm(heart, k, on_grid) for word, k in tried.items()}
        for way, on_grid in (("latents", False), ("grid", True))
    }


def left_out(
    hearts: Sequence[BenchmarkHeart], trained: TrainedModel
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the generalisation of each heart in the spaces of the others.

    The template is the first heart, or the second one for the first.
    """
    found = {}
    first, second = (Spaces(hearts, trained, template_of(h.seen, trained)) for h in hearts[:2])
    for number, heart in enumerate(track(hearts, "leaving one out")):
        spaces = first if number else second
        spaces.refit([one for place, one in enumerate(spaces.placed) if place != number])
        found[heart.name] = generalisation(spaces, spaces.placed[number])
    return found


def new_hearts(spaces: Spaces, count: int, seed: int) -> dict[str, Any]:
    """Return what is found of new hearts of both spaces."""
    placed = spaces.placed
    fitted_ml = np.stack([heart.volumes_ml for heart in placed])
    found: dict[str, Any] = {"samples": count}
    for way, sd in (("latents", spaces.space.sd), ("grid", spaces.grid_space.sd)):
        nearest, volumes_ml = [], []
        for number in track(range(count), f"new hearts ({way})"):
            row = np.random.default_rng([seed, number]).standard_normal(len(sd))
            if way == "grid":
                surfaces = spaces.grid_surfaces(spaces.grid_space.heart(row))
            else:
                surfaces = spaces.surfaces(row)
            nearest.append(min(np.mean(spaces.to_heart_mm(surfaces, heart)) for heart in placed))
            volumes_ml.append([volume_ml(surfaces.get(name)) for name in spaces.structures])
        drawn_ml = np.array(volumes_ml)
        found[way] = {
            "specificity_mm": float(np.mean(nearest)),
            "interval": interval(nearest),
            "wasserstein_ml": {
                name: float(wasserstein_distance(drawn_ml[:, k], fitted_ml[:, k]))
                for k, name in enumerate(spaces.structures)
            },
        }
    found["latents"] |= validity(spaces, count, seed)
    shares = spaces.space.position_shares, spaces.grid_space.sd**2 / (spaces.grid_space.sd**2).sum()
    for way, share in zip(("latents", "grid"), shares, strict=True):
        found[way]["modes_of_90_percent"] = int(np.searchsorted(np.cumsum(share), 0.9)) + 1
    return found


def volume_ml(surface: GridSurface | None) -> float:
    """Return the volume inside a surface; 0 for none."""
    if surface is None:
        return 0.0
    vertices = surface.vertices_mm.astype(np.float32)
    return abs(Surface(vertices, surface.faces).volume_mm3) / 1000


def validity(spaces: Spaces, count: int, seed: int) -> dict[str, float]:
    """Return the shares of new hearts whose structures are whole, and touch as they always do."""
    names, labels = spaces.structures, spaces.columns + 1
    every = len(spaces.trained.structures)
    fields = [spaces.field(spaces.space.coordinates(heart.table)) for heart in spaces.placed]
    areas = [contact_mm2(label_map_of(field, GRID_MM), every) for field in fields]
    own = [area[np.ix_(spaces.columns, spaces.columns)] for area in areas]
    always = always_touching(own, [np.ones(len(names), dtype=bool)] * len(own))
    whole = touching = 0
    for number in track(range(count), "validity"):
        row = np.random.default_rng([seed, number]).standard_normal(len(spaces.space.sd))
        label_map = label_map_of(spaces.field(row), GRID_MM)
        whole += all(number_pieces(label_map.labels == k)[1] == 1 for k in labels)
        contact = contact_mm2(label_map, every)
        touching += bool((contact[np.ix_(spaces.columns, spaces.columns)][always] > 0).all())
    return {"in_one_piece": whole / count, "neighbours_touch": touching / count}


def interval(values: Sequence[float]) -> list[float]:
    """95% interval of a mean."""
    some = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    return np.quantile(some.mean(axis=1), [0.025, 0.975]).round(3).tolist()


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print the tables."""
    table = Table(title="Dice of unseen hearts")
    for column in ("heart", "free anchors", "corresponding anchors"):
        table.add_column(column)
    for name, row in results["ordering"].items():
        table.add_row(name, f"{row['free']:.4f}", f"{row['ordered']:.4f}")
    console.print(table)
    for title in ("unseen", "left out"):
        if found := results.get(title):
            show_generalisation(title, found, console)
    new = results["new hearts"]
    table = Table(title=f"{new['samples']} new hearts each")
    for column in ("", "specificity, mm", "95%", "modes of 90%", "Wasserstein, ml"):
        table.add_column(column)
    for way in ("latents", "grid"):
        row = new[way]
        low, high = row["interval"]
        ml = ", ".join(f"{name} {value:.1f}" for name, value in row["wasserstein_ml"].items())
        table.add_row(
            way,
            f"{row['specificity_mm']:.2f}",
            f"{low:.2f}–{high:.2f}",
            str(row["modes_of_90_percent"]),
            ml,
        )
    console.print(table)
    console.print(
        f"every structure in one piece: {100 * new['latents']['in_one_piece']:.1f}%; all "
        f"neighbours touch: {100 * new['latents']['neighbours_touch']:.1f}%"
    )


def show_generalisation(
    title: str, found: Mapping[str, Mapping[str, Mapping[str, float]]], console: Console
) -> None:
    """Print the ASSD of each heart, and the means with their intervals."""
    words = list(next(iter(found.values()))["latents"])
    table = Table(title=f"ASSD of hearts {title}, mm: latents / grid, by modes")
    for column in ("heart", *words):
        table.add_column(column)
    for name, row in found.items():
        cells = (f"{row['latents'][word]:.2f} / {row['grid'][word]:.2f}" for word in words)
        table.add_row(name, *cells)
    for way in ("latents", "grid"):
        columns = [[row[way][word] for row in found.values()] for word in words]
        cells = []
        for values in columns:
            low, high = interval(values)
            cells.append(f"{np.mean(values):.2f} ({low:.2f}–{high:.2f})")
        table.add_row(f"mean, {way}", *cells)
    console.print(table)


def main() -> None:
    """Print the tables, and write what they show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fitted", nargs="+", type=Path, help="label maps of the cohort")
    parser.add_argument("--unseen", nargs="+", type=Path, required=True, help="other hearts")
    parser.add_argument("--model", type=Path, default=None, help="default: the built-in one")
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = run(
        given.fitted, given.unseen, given.model, given.leave_one_out, given.samples, given.seed
    )
    show(results, Console())
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


def run(
    fitted: Sequence[Path],
    unseen: Sequence[Path],
    model: Path | None,
    leave_one_out: bool,
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """Return all that the tables show."""
    trained = TrainedModel.from_pretrained(model or built_in_model())
    cohort, others = read(fitted, trained), read(unseen, trained)
    spaces = Spaces(cohort, trained)
    results: dict[str, Any] = {
        "fitted": [heart.name for heart in cohort],
        "ordering": ordering(spaces, others),
        "unseen": {
            heart.name: generalisation(spaces, spaces.place(heart))
            for heart in track(others, "unseen hearts")
        },
        "new hearts": new_hearts(spaces, samples, seed),
    }
    if leave_one_out:
        results["left out"] = left_out(cohort, trained)
    return results


if __name__ == "__main__":
    main()
