"""A picture of slices before and after their shifts."""

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vecsetx.anatomy.structures import structure
from vecsetx.files import written_whole
from vecsetx.views.crossings import Crossing, borders_on, crossings_of
from vecsetx.views.shifts import Alignment

__all__ = ["write_shifts_picture"]

_PANELS = 4
"""Most slices that are drawn: those that cross most others."""

_INCHES, _DPI = 4.0, 110


def write_shifts_picture(path: Path, aligned: Alignment, structures: tuple[str, ...]) -> None:
    """Write a picture of slices, with the borders that others show where they cross.

    Each column is a slice: its outlines as lines, and as dots the borders of its structures in
    all slices that cross it. Above, all lie as in the files; below, they are shifted. Where no
    slices cross, a column shows all contours from the side.

    Args:
        path: The PNG file.
        aligned: The slices.
        structures: Names of the K structures.
    """
    colors = [np.array(structure(name).color) / 255 for name in structures]
    crossings = crossings_of(aligned.slices)
    shown = _most_crossed(crossings) or [0, 1]
    figure = Figure((_INCHES * len(shown), 2 * _INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(shown), squeeze=False, sharex="col", sharey="col")
    for row, shifts_mm in enumerate((np.zeros_like(aligned.shifts_mm), aligned.shifts_mm)):
        for panel, number in zip(panels[row], shown, strict=True):
            if crossings:
                _slice(panel, aligned, crossings, number, shifts_mm, colors)
            else:
                _side(panel, aligned, number, shifts_mm, colors)
            panel.set_aspect("equal")
            panel.tick_params(labelsize=7)
        panels[row][0].set_ylabel(("before" if row == 0 else "after") + ", mm")
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=_DPI)


def _most_crossed(crossings: list[Crossing]) -> list[int]:
    """Return the slices that cross most others, such as the long-axis ones; none if none cross."""
    counts = Counter(number for one in crossings for number in one.slices)
    most = counts.most_common(_PANELS)
    return sorted(number for number, count in most if count > most[0][1] / 2)


def _slice(
    panel: Axes,
    aligned: Alignment,
    crossings: list[Crossing],
    number: int,
    shifts_mm: Float[np.ndarray, "s 3"],
    colors: list[np.ndarray],
) -> None:
    """Draw a slice's outlines, and the borders that others show in its plane."""
    one, contours = aligned.slices[number], aligned.contours
    own = contours.slice == number
    at_mm = (contours.points_mm[own] - one.origin_mm) @ one.directions.T + shifts_mm[number, :2]
    panel.scatter(at_mm[:, 0], at_mm[:, 1], s=1, c=_colors(colors, contours.structure[own]))
    for crossing in crossings:
        if number not in crossing.slices:
            continue
        (other,) = {*crossing.slices} - {number}
        if aligned.kept[other]:
            points_mm, borders = borders_on(crossing, aligned.slices, other, shifts_mm)
            points_mm, borders = points_mm[one.known[borders]], borders[one.known[borders]]
            at_mm = (points_mm - one.origin_mm) @ one.directions.T
            panel.scatter(
                at_mm[:, 0],
                at_mm[:, 1],
                s=16,
                c=_colors(colors, borders),
                edgecolors="black",
                linewidths=0.5,
            )
    panel.set_title(one.name, fontsize=9)


def _side(
    panel: Axes,
    aligned: Alignment,
    axis: int,
    shifts_mm: Float[np.ndarray, "s 3"],
    colors: list[np.ndarray],
) -> None:
    """Draw the contours of parallel slices as seen along one of their directions."""
    first, contours = aligned.slices[0], aligned.contours
    moves_mm = np.stack([m @ s.axes for s, m in zip(aligned.slices, shifts_mm, strict=True)])
    points_mm = contours.points_mm + moves_mm[contours.slice] - first.origin_mm
    at_mm = points_mm @ np.stack([first.directions[axis], first.normal]).T
    panel.scatter(at_mm[:, 0], at_mm[:, 1], s=1, c=_colors(colors, contours.structure))
    panel.set_title("all slices, from the side", fontsize=9)


def _colors(colors: list[np.ndarray], structures: np.ndarray) -> np.ndarray:
    return np.array(colors)[structures]
