"""Slices of label maps, and curves, as figures."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.structures import structure
from vecsetx.formats.label_maps import read_label_map
from vecsetx.report.panels import ACROSS, BACKGROUND, VIEWS, frame

DPI = 110


def pixels(figure: Figure) -> Image.Image:
    """Draw a figure."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def written_out(column: str) -> str:
    """A column's name for a reader: ``LV_volume_ml`` as "LV volume, ml"."""
    return re.sub("_(mm|ml|ms)$", r", \1", column).replace("_", " ")


def labels(paths: Sequence[Path], titles: Sequence[str]) -> Figure:
    """Draw three slices of each label map, through the middle of the first heart.

    The ids are those of label set ``default``.

    Args:
        paths: Label maps whose axes are the patient's.
        titles: A title per label map.
    """
    figure = Figure(figsize=(9.6, 3.4 * len(paths)), facecolor=tuple(BACKGROUND))
    panels = figure.subplots(len(paths), 3, squeeze=False)
    figure.subplots_adjust(0, 0, 1, 0.94, 0.01, 0.1)
    ids = label_set("default").ids
    colors = np.tile(BACKGROUND, (max(ids) + 1, 1))
    for number, name in ids.items():
        colors[number] = np.array(structure(name).color) / 255
    read_maps = [read_label_map(path) for path in paths]
    middle_mm = read_maps[0].to_mm(np.argwhere(read_maps[0].labels).mean(axis=0))
    all_corners = np.concatenate([_corners_mm(read) for read in read_maps])
    low_mm, high_mm = all_corners.min(axis=0), all_corners.max(axis=0)
    for row, read, title in zip(panels, read_maps, titles, strict=True):
        middle = read.to_indices(middle_mm).round().astype(int)
        corners = _corners_mm(read)
        for panel, view in zip(row, VIEWS, strict=True):
            axis = ACROSS[view]
            a, b = (other for other in range(3) if other != axis)
            extent = (corners[0, a], corners[1, a], corners[0, b], corners[1, b])
            slice_ = np.take(read.labels, middle[axis], axis=axis).T
            panel.imshow(colors[slice_], origin="lower", extent=extent, interpolation="nearest")
            frame(panel, view, (low_mm[a], high_mm[a], low_mm[b], high_mm[b]))
        row[1].set_title(title, color="#e8ecf2")
    return figure


def _corners_mm(label_map: LabelMap) -> np.ndarray:
    return label_map.to_mm(np.array([[-0.5] * 3, np.array(label_map.shape) - 0.5]))


def curves(
    paths: Sequence[Path], titles: Sequence[str], x: str, y: Sequence[str], dots: bool
) -> Figure:
    """Draw columns of tables against another one; each file has a colour per column.

    Args:
        paths: CSV files, or files of JSON lines.
        titles: The label of each file, or empty; then columns are named.
        x: Column along the picture.
        y: Columns upwards.
        dots: Whether rows are dots, not points of a line.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for path, title in zip(paths, titles, strict=True):
        rows = _rows(path)
        for column in y:
            known = [(float(r[x]), float(r[column])) for r in rows if r.get(x) and r.get(column)]
            name = title or written_out(column)
            axes.plot(*zip(*known, strict=True), "o" if dots else "-", label=name, alpha=0.85)
    axes.set_xlabel(written_out(x))
    axes.set_ylabel(written_out(y[0]) if len(y) == 1 else "")
    axes.spines[["top", "right"]].set_visible(False)
    if len(paths) * len(y) > 1:
        axes.legend(frameon=False)
    return figure


def _rows(path: Path) -> list[dict[str, str | float]]:
    with path.open(encoding="utf-8") as file:
        return (
            [json.loads(line) for line in file]
            if path.suffix == ".jsonl"
            else [*csv.DictReader(file)]
        )
