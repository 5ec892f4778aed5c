"""Surfaces from coarse label maps: a model's, and those that one makes today.

    python benchmarks/surfaces.py MODEL --hearts FOLDER[:LABELS] [--refine 100]

Each heart's label map, about 0.6 mm fine, is the truth. It is shown in voxels of 3 mm, and in
slices of 8 mm with pixels of 1.5 mm. From what is shown, surfaces are made in three ways: surface
nets with a windowed-sinc filter, as today; the model as it is; the model refined on what is shown.
All are compared with the surface nets of the truth: mean over structures of ASSD and HD95, mm, and
the number of pieces of vessels. A heart takes about a minute.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.structures import structure
from vecsetx.data.find_hearts import find_hearts
from vecsetx.evaluation.surface_distance import mesh_distances
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import Surface, field_surfaces, label_map_surfaces
from vecsetx.variation.resampled import corners_mm, grid_around, resampled

SHOWN = {"3 mm": (3.0, 3.0, 3.0), "8 mm slices": (1.5, 1.5, 8.0)}
"""What is shown → spacing along R, A and S, mm."""

GRID_MM = 1.2
"""Voxel edge of the grid on which the model's surfaces are meshed, about."""


def coarse(truth: LabelMap, spacing_mm: tuple[float, float, float]) -> LabelMap:
    """The label at each voxel's centre, on a grid along the scanner's axes."""
    spacing = np.array(spacing_mm)
    affine, shape = grid_around(corners_mm(truth), np.eye(3), spacing, 2 * spacing)
    return resampled(truth, affine, shape, complete=True)


def score(
    truth: dict[str, Surface], found: dict[str, Surface], labels: LabelMap, names: tuple[str, ...]
) -> dict[str, Any]:
    """ASSD and HD95 of each structure, and pieces of each vessel."""
    scores: dict[str, Any] = {}
    for name, true in truth.items():
        if name not in found or not len(found[name].faces):
            scores[name] = {"assd_mm": np.nan, "hd95_mm": np.nan}
            continue
        distances = mesh_distances(true, found[name])
        scores[name] = {"assd_mm": distances.assd_mm(), "hd95_mm": distances.hd95_mm()}
        if structure(name).vessel:
            scores[name]["pieces"] = number_pieces(labels.labels == names.index(name) + 1)[1]
    return scores


def measure(
    name: str, label_map: LabelMap, trained: TrainedModel, refine: int
) -> list[dict[str, Any]]:
    """A row per what is shown and way."""
    names, rows = trained.structures, []
    truth = {
        key: surface
        for key, surface in label_map_surfaces(label_map, names).items()
        if len(surface.faces)
    }
    fine = label_map.downsampled(max(round(GRID_MM / float(label_map.spacing_mm.max())), 1))
    for shown, spacing_mm in SHOWN.items():
        seen = coarse(label_map, spacing_mm)
        nets = label_map_surfaces(seen, names)
        ways: dict[str, dict[str, Any]] = {"surface nets": score(truth, nets, seen, names)}
        for steps in dict.fromkeys((0, refine)):
            geometry = Geometry.of_label_map(seen, len(names))
            field = encode_heart(geometry, trained, EncodeOptions(refine=steps))
            grid = Grid.of(fine)
            way = f"model, refined {steps}" if steps else "model"
            ways[way] = score(truth, field_surfaces(field, grid), rasterize(field, grid), names)
        for way, scores in ways.items():
            row = {"heart": name, "shown": shown, "way": way, "structures": scores}
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="To the surface of the fine label map: mean over structures and hearts, mm")
    for heading in ("shown", "way", "ASSD", "of surface nets", "HD95", "pieces of vessels"):
        table.add_column(heading, justify="right" if heading != "way" else "left")
    for shown in SHOWN:
        usual = mean(rows, shown, "surface nets", "assd_mm")
        for way in dict.fromkeys(row["way"] for row in rows):
            assd = mean(rows, shown, way, "assd_mm")
            hd95, pieces = (mean(rows, shown, way, key) for key in ("hd95_mm", "pieces"))
            table.add_row(
                shown, way, f"{assd:.2f}", f"{assd / usual:.2f}", f"{hd95:.2f}", f"{pieces:.1f}"
            )
    Console(width=110).print(table)


def mean(rows: list[dict[str, Any]], shown: str, way: str, key: str) -> float:
    """Mean of a measure; NaN if a structure is missing."""
    own = [row for row in rows if (row["shown"], row["way"]) == (shown, way)]
    values = [scores[key] for row in own for scores in row["structures"].values() if key in scores]
    return float(np.mean(values)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a run's folder")
    parser.add_argument("--hearts", required=True, metavar="FOLDER[:LABELS]")
    parser.add_argument("--refine", type=int, default=100, help="steps of the refined model")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.from_pretrained(options.model)
    folder, _, labels = options.hearts.partition(":")
    known = label_set(labels or "default")
    rows = []
    for name, heart in find_hearts([Path(folder)], known, "lps", "mm", known).items():
        label_map = heart.segmentation(trained.structures).label_map
        rows += measure(name, label_map, trained, options.refine)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
