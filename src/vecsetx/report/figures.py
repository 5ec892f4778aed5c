"""Two-dimensional figures: plain data in, a plotly figure as a plain dict out.

The page sets the colours of text, grid and lines, since it knows whether it is light or dark. Only
structures have colours of their own.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vecsetx.anatomy.structures import structure

__all__ = [
    "LOG_SCALE",
    "MARKED",
    "POINTS_PER_CURVE",
    "Figure",
    "Row",
    "axis_with_ticks",
    "curve",
    "curves_of",
    "figure",
    "figures_over_steps",
    "is_number",
    "jitter",
    "rgb",
    "structure_axis",
    "training_curves",
]

POINTS_PER_CURVE = 600
"""Longer training curves are thinned to means over equal intervals of steps."""

_HEIGHT_PER_CURVE = 7
"""Extra height, in pixels, for the legend entry of each curve but the first."""

Figure = dict[str, Any]
"""A plotly figure as plain data."""

Row = Mapping[str, Any]
"""A line of ``metrics.jsonl``, or a heart of ``check.json``."""

LOG_SCALE = {"type": "log", "dtick": "D2", "tickformat": "~g"}
"""Properties of a logarithmic axis with ticks at 1, 2 and 5 times the powers of ten."""

_MIN_LOG_SPAN = 8.0
"""Values that span a smaller factor may have too few ticks at 1, 2 and 5 times a power of ten."""

MARKED = {"mode": "lines+markers"}
"""Style of curves with few points."""


def rgb(name: str, opacity: float = 1.0) -> str:
    """The colour of a structure in CSS; ``opacity`` is 0…1."""
    red, green, blue = structure(name).color
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def training_curves(history: Sequence[Row]) -> dict[str, Figure]:
    """Plot the loss, its terms, the Dice on the voxel grid and the learning rate over the steps.

    Args:
        history: Lines of ``metrics.jsonl``, oldest first.

    Returns:
        Title → figure; figures without data are left out.
    """
    train = [row for row in history if row.get("split") == "train"]
    val = [row for row in history if row.get("split") == "val"]
    return figures_over_steps(
        {
            "Loss": (
                [
                    curve("training", train, lambda row: row.get("loss")),
                    curve("validation", val, lambda row: row.get("loss"), **MARKED),
                ],
                LOG_SCALE,
            ),
            "Loss terms (training)": (curves_of("terms", train), LOG_SCALE),
            "Dice on the voxel grid": (
                [curve("grid Dice", val, lambda row: row.get("grid_dice"), **MARKED)],
                {},
            ),
            "Learning rate": (
                [curve("learning rate", train, lambda row: row.get("lr"))],
                {"tickformat": "~e"},
            ),
        }
    )


def figures_over_steps(
    curves_by_title: Mapping[str, tuple[Iterable[go.Scatter | None], Mapping[str, Any]]],
) -> dict[str, Figure]:
    """Plot curves over the training steps.

    Args:
        curves_by_title: Title → curves (None for one without data), and properties of the y axis.

    Returns:
        Title → figure; figures without a curve are left out.
    """
    figures = {}
    for title, (curves, yaxis) in curves_by_title.items():
        if found := [trace for trace in curves if trace is not None]:
            figures[title] = figure(
                found,
                height=280 + _HEIGHT_PER_CURVE * (len(found) - 1),
                xaxis={"title": {"text": "step"}, "rangemode": "tozero"},
                yaxis=axis_with_ticks(yaxis, [value for trace in found for value in trace.y]),
                hovermode="x unified",
                showlegend=len(found) > 1,
            )
    return figures


def axis_with_ticks(axis: Mapping[str, Any], values: Iterable[float]) -> dict[str, Any]:
    """Let plotly choose the ticks of a logarithmic axis if the values span a small range.

    Args:
        axis: Properties of the axis, such as :data:`LOG_SCALE`.
        values: All values along the axis.
    """
    positive = [value for value in values if value > 0]
    if "dtick" in axis and positive and max(positive) < _MIN_LOG_SPAN * min(positive):
        return {key: value for key, value in axis.items() if key != "dtick"}
    return dict(axis)


def curves_of(
    group: str, rows: Sequence[Row], style_of: Callable[[str], Mapping[str, Any]] = lambda _: {}
) -> list[go.Scatter | None]:
    """Make a curve for each name in the table ``group`` of the rows.

    Args:
        group: Key of the table, such as ``terms``.
        rows: Lines of ``metrics.jsonl``, oldest first.
        style_of: Name → properties of its curve for plotly.
    """
    names = dict.fromkeys(name for row in rows for name in row.get(group) or {})
    return [curve(name, rows, partial(_entry, group, name), **style_of(name)) for name in names]


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number (not None, not NaN)."""
    return value is not None and math.isfinite(value)


def curve(
    name: str, rows: Iterable[Row], value_of: Callable[[Row], Any], **style: Any
) -> go.Scatter | None:
    """Make a curve of a value over the steps, thinned to :data:`POINTS_PER_CURVE`.

    Args:
        name: Name of the curve.
        rows: Lines of ``metrics.jsonl``, oldest first.
        value_of: Returns the value of a line; lines without a finite value are left out.
        style: Properties of the curve for plotly.

    Returns:
        None if no line has a finite value.
    """
    points = [(row["step"], value) for row in rows if is_number(value := value_of(row))]
    if not points:
        return None
    # Means over runs of consecutive points; without thinning, each run is one point.
    thinned = np.array(
        [run.mean(axis=0) for run in np.array_split(points, min(len(points), POINTS_PER_CURVE))]
    )
    trace = go.Scatter(
        name=name,
        x=thinned[:, 0].tolist(),
        y=thinned[:, 1].tolist(),
        mode="lines" if len(points) > 1 else "lines+markers",
        line={"width": 2},
        marker={"size": 6},
        hovertemplate="%{y:.4g}",
    )
    return trace.update(style)


def _entry(group: str, name: str, row: Row) -> Any:
    return (row.get(group) or {}).get(name)


def jitter(count: int) -> np.ndarray:
    """Offsets, −0.25…0.25, that separate the dots of a row; not random, from the golden ratio."""
    return (np.arange(count) * 0.618034 % 1 - 0.5) * 0.5


def structure_axis(names: Sequence[str]) -> dict[str, Any]:
    """A y axis with one row per name, top to bottom."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "range": [len(names) - 0.4, -0.6],
        "showgrid": False,
    }


def figure(traces: Sequence[Any], **layout: Any) -> Figure:
    """Make a plain two-dimensional figure; ``layout`` must have ``xaxis`` and ``yaxis``."""
    base = {"template": "none", "showlegend": False, "margin": {"l": 0, "r": 16, "t": 8, "b": 8}}
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {"automargin": True, "zeroline": False, "fixedrange": True} | layout[axis]
    # As go.Figure's to_dict, which checks and copies the traces again, in ten times as long.
    data = [trace.to_plotly_json() for trace in traces]
    return {"data": data, "layout": go.Layout(base | layout).to_plotly_json()}
