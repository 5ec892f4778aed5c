"""Flat figures: plain data in, a plotly figure as a plain dict out.

Colours of text, grid and lines are left to the page, which knows whether it is light or dark; only
structures bring their own.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vecsetx.anatomy.structures import structure

POINTS_PER_CURVE = 600
"""Longer training curves are drawn as means over equal runs of steps."""

_HEIGHT_PER_CURVE = 7
"""Makes up for what the legend takes."""

Figure = dict[str, Any]
Row = Mapping[str, Any]

LOG_SCALE = {"type": "log", "dtick": "D2", "tickformat": "~g"}
_LEAST_LOG_SPAN = 8.0
"""Where curves span a smaller factor, there may be no tick at 1, 2 or 5 times a power of ten."""

MARKED = {"mode": "lines+markers"}
"""Style of curves of few points, each of which counts."""


def rgb(name: str, opacity: float = 1.0) -> str:
    """The colour of the structure ``name`` as CSS."""
    red, green, blue = structure(name).color
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def training_curves(history: Sequence[Row]) -> dict[str, Figure]:
    """Loss, its terms, the Dice on the grid and the learning rate over the steps.

    Args:
        history: Lines of ``metrics.jsonl``, oldest first.

    Returns:
        Title → figure; what the history does not hold is left out.
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
            "Terms of the loss (training)": (curves_of("terms", train), LOG_SCALE),
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
    drawn: Mapping[str, tuple[Iterable[go.Scatter | None], Mapping[str, Any]]],
) -> dict[str, Figure]:
    """Title → figure, of the curves and the y axis of each; those without a curve are left out."""
    figures = {}
    for title, (curves, yaxis) in drawn.items():
        if found := [trace for trace in curves if trace is not None]:
            figures[title] = figure(
                found,
                height=280 + _HEIGHT_PER_CURVE * (len(found) - 1),
                xaxis={"title": {"text": "step"}, "rangemode": "tozero"},
                yaxis=_with_ticks(yaxis, found),
                hovermode="x unified",
                showlegend=len(found) > 1,
            )
    return figures


def _with_ticks(yaxis: Mapping[str, Any], curves: Sequence[go.Scatter]) -> dict[str, Any]:
    """The axis, with ticks of plotly's choice if it is logarithmic and the curves span little."""
    values = [value for trace in curves for value in trace.y if value > 0]
    if "dtick" in yaxis and values and max(values) < _LEAST_LOG_SPAN * min(values):
        return {key: value for key, value in yaxis.items() if key != "dtick"}
    return dict(yaxis)


def curves_of(
    group: str, rows: Sequence[Row], style_of: Callable[[str], Mapping[str, Any]] = lambda _: {}
) -> list[go.Scatter | None]:
    """A curve for each name in the table ``group`` of the rows, such as ``terms``.

    Args:
        group: Which table.
        rows: Lines of ``metrics.jsonl``, oldest first.
        style_of: Name → properties of its curve, as plotly's.
    """
    names = dict.fromkeys(name for row in rows for name in row.get(group) or {})
    return [curve(name, rows, partial(_entry, group, name), **style_of(name)) for name in names]


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number (not None, not NaN)."""
    return value is not None and math.isfinite(value)


def curve(
    name: str, rows: Iterable[Row], value_of: Callable[[Row], Any], **style: Any
) -> go.Scatter | None:
    """A value over the steps, thinned to :data:`POINTS_PER_CURVE`.

    Args:
        name: What it is called.
        rows: Lines of ``metrics.jsonl``, oldest first.
        value_of: The value in a line; lines where it is no number are left out.
        style: Properties of the curve, as plotly's.

    Returns:
        None if there is no value at all.
    """
    points = [(row["step"], value) for row in rows if is_number(value := value_of(row))]
    if not points:
        return None
    thinned = np.array(
        [run.mean(axis=0) for run in np.array_split(points, min(len(points), POINTS_PER_CURVE))]
    )
    drawn = go.Scatter(
        name=name,
        x=thinned[:, 0].tolist(),
        y=thinned[:, 1].tolist(),
        mode="lines" if len(points) > 1 else "lines+markers",
        line={"width": 2},
        marker={"size": 6},
        hovertemplate="%{y:.4g}",
    )
    return drawn.update(style)


def _entry(group: str, name: str, row: Row) -> Any:
    return (row.get(group) or {}).get(name)


def spread(count: int) -> np.ndarray:
    """Offsets that keep dots of one row apart: steps of the golden ratio, the same every time."""
    return (np.arange(count) * 0.618034 % 1 - 0.5) * 0.5


def structure_axis(names: Sequence[str]) -> dict[str, Any]:
    """A y axis with a row per name, from above."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "range": [len(names) - 0.4, -0.6],
        "showgrid": False,
    }


def figure(traces: Sequence[Any], **layout: Any) -> Figure:
    """A flat figure without any ornament; ``layout`` needs ``xaxis`` and ``yaxis``."""
    quiet = {"template": "none", "showlegend": False, "margin": {"l": 0, "r": 8, "t": 8, "b": 8}}
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {"automargin": True, "zeroline": False, "fixedrange": True} | layout[axis]
    made: Figure = go.Figure(list(traces), layout=quiet | layout).to_dict()
    return made
