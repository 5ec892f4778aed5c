"""Figures of the score page: distributions of each measure over hearts, per structure."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from vecsetx.evaluation.score_measures import MEASURES, Measure
from vecsetx.report.figures import Figure, figure, is_number, rgb, structure_axis

_SHOWN_MEASURES = (
    *("dice", "nsd", "assd_mm", "hd95_mm", "cldice", "iou", "volume_error_ml"),
    *("volume_error_relative", "piece_error", "mesh_nsd", "mesh_assd_mm", "mesh_hd95_mm"),
)
"""Measures with a figure and a column of their own, if they have a value, in the page's order."""

_FORMATS = {"volume_error_relative": "+.1%", "volume_error_ml": "+.2f", "piece_error": "+d"}


def measures_found(scores: Mapping[str, Any]) -> list[Measure]:
    """Measures to show: those with a value for any structure, and always the Dice."""
    summary = scores["summary"]["structures"].values()
    return [
        MEASURES[name]
        for name in _SHOWN_MEASURES
        if name == "dice" or any(is_number(found.get(name, {}).get("mean")) for found in summary)
    ]


def hidden_structures(scores: Mapping[str, Any]) -> list[str]:
    """Structures that were hidden from the model in every heart, so that all are inferred."""
    return [
        name
        for name in scores.get("inferred", {}).get("structures", ())
        if name not in scores["observed"]["structures"]
    ]


def structures_hidden_in_turn(scores: Mapping[str, Any]) -> list[str]:
    """Structures that were scored twice: once observed by the model and once hidden from it."""
    inferred = scores.get("inferred", {}).get("structures", ())
    return [name for name in inferred if name in scores["observed"]["structures"]]


def scores_by_structure(scores: Mapping[str, Any], measure: Measure) -> Figure:
    """Plot a measure: a row per structure with a dot per heart, a box with quartiles, and the mean.

    Args:
        scores: As in ``scores.json``. Inferred structures have hollow dots.
        measure: The measure to plot.
    """
    names, hidden = list(scores["summary"]["structures"]), hidden_structures(scores)
    traces = [
        _box(name, row, 0.62, scores["hearts"], measure, name in hidden)
        for row, name in enumerate(names)
    ]
    labels = [f"{name} (inferred)" if name in hidden else name for name in names]
    return _in_rows(traces, labels, 38, measure)


def observed_and_inferred(scores: Mapping[str, Any], measure: Measure) -> Figure:
    """Plot a measure in two rows per structure: observed and, below it with hollow dots, inferred.

    Args:
        scores: As in ``scores.json``, with structures hidden in turn.
        measure: The measure to plot.
    """
    names = structures_hidden_in_turn(scores)
    traces = [
        _box(name, row + shift, 0.34, scores[part]["hearts"], measure, part == "inferred")
        for row, name in enumerate(names)
        for part, shift in (("observed", -0.2), ("inferred", 0.2))
    ]
    return _in_rows(traces, names, 52, measure)


def _box(
    name: str,
    row: int | float,
    width: float,
    hearts: Mapping[str, Any],
    measure: Measure,
    inferred: bool,
) -> go.Box:
    found = [
        (heart, value)
        for heart, structures in hearts.items()
        if is_number(value := structures.get(name, {}).get(measure.name))
    ]
    number = _FORMATS.get(measure.name, ".3f" if measure.higher_is_better else ".2f")
    title = f"<b>{name}</b>{' inferred' if inferred else ''}"
    return go.Box(
        name=name,
        x=[round(value, 4) for _, value in found],
        y=[row] * len(found),
        text=[html.escape(heart, quote=False) for heart, _ in found],
        orientation="h",
        boxpoints="all",
        boxmean=True,
        jitter=0.55,
        pointpos=0,
        width=width,
        line={"color": rgb(name), "width": 1.5},
        fillcolor=rgb(name, 0.0 if inferred else 0.15),
        marker={
            "size": 6,
            "color": rgb(name, 0.8),
            "symbol": "circle-open" if inferred else "circle",
        },
        hoveron="points",
        hovertemplate=f"{title} %{{x:{number}}}<br>%{{text}}<extra></extra>",
    )


def _in_rows(
    traces: Sequence[go.Box], labels: Sequence[str], height_per_row: int, measure: Measure
) -> Figure:
    values = [value for trace in traces for value in trace.x]
    return figure(
        traces,
        height=90 + height_per_row * len(labels),
        xaxis={"title": {"text": measure.title}} | _span(values, measure),
        yaxis=structure_axis(labels),
    )


def _span(values: Sequence[int | float], measure: Measure) -> dict[str, Any]:
    """Axis range that contains all values and ends at the perfect value."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if measure.higher_is_better:
        margin = max(0.06 * (1 - low), 0.01)
        return {"range": [max(low - margin, -0.02), 1 + 0.1 * margin]}
    if measure.signed:
        reach = 1.08 * max(abs(low), abs(high), 1e-3)
        percent = {"tickformat": ".0%"} if measure.name == "volume_error_relative" else {}
        return {"range": [-reach, reach], "zeroline": True} | percent
    return {"range": [-0.01 * high, 1.06 * high or 1.0]}
