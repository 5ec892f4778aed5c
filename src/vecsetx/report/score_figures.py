"""Figures of the score page: how each measure spreads over hearts and structures."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from vecsetx.evaluation.measures import MEASURES, Measure
from vecsetx.report.figures import Figure, figure, is_number, rgb, structure_axis

SHOWN_MEASURES = (
    *("dice", "nsd", "assd_mm", "hd95_mm", "cldice", "iou", "volume_error_ml"),
    *("volume_error_relative", "component_error", "mesh_nsd", "mesh_assd_mm", "mesh_hd95_mm"),
)
"""Measures with a figure and a table of their own, if anything was measured, in their order."""

_FORMATS = {"volume_error_relative": "+.1%", "volume_error_ml": "+.2f", "component_error": "+d"}


def measures_found(scores: Mapping[str, Any]) -> list[Measure]:
    """Those of :data:`SHOWN_MEASURES` that have a value at all; the Dice always."""
    summary = scores["summary"]["structures"].values()
    return [
        MEASURES[name]
        for name in SHOWN_MEASURES
        if name == "dice" or any(is_number(found.get(name, {}).get("mean")) for found in summary)
    ]


def scores_by_structure(scores: Mapping[str, Any], measure: Measure) -> Figure:
    """One row per structure: a dot for every heart, a box for their middle half, the mean marked.

    Args:
        scores: As in ``scores.json``.
        measure: Of which to draw the values.
    """
    names = list(scores["summary"]["structures"])
    shape = _FORMATS.get(measure.name, ".3f" if measure.higher_is_better else ".2f")
    traces: list[Any] = []
    for row, name in enumerate(names):
        found = [
            (heart, value)
            for heart, of_heart in scores["hearts"].items()
            if is_number(value := of_heart.get(name, {}).get(measure.name))
        ]
        traces.append(
            go.Box(
                name=name,
                x=[round(value, 4) for _, value in found],
                y=[row] * len(found),
                text=[html.escape(heart, quote=False) for heart, _ in found],
                orientation="h",
                boxpoints="all",
                boxmean=True,
                jitter=0.55,
                pointpos=0,
                width=0.62,
                line={"color": rgb(name), "width": 1.5},
                fillcolor=rgb(name, 0.15),
                marker={"size": 6, "color": rgb(name, 0.8)},
                hoveron="points",
                hovertemplate=f"<b>{name}</b> %{{x:{shape}}}<br>%{{text}}<extra></extra>",
            )
        )
    values = [value for trace in traces for value in trace.x]
    return figure(
        traces,
        height=90 + 38 * len(names),
        xaxis={"title": {"text": measure.title}} | _span(values, measure),
        yaxis=structure_axis(names),
    )


def _span(values: Sequence[int | float], measure: Measure) -> dict[str, Any]:
    """Axis range: all values, and the perfect one, which is where the axis ends."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if measure.higher_is_better:
        margin = max(0.06 * (1 - low), 0.01)
        return {"range": [max(low - margin, -0.02), 1 + 0.1 * margin]}
    if measure.signed:
        reach = 1.08 * max(abs(low), abs(high), 1e-3)
        percent = {"tickformat": ".0%"} if measure.name == "volume_error_relative" else {}
        return {"range": [-reach, reach], "zeroline": True} | percent
    return {"range": [-0.01 * high, 1.06 * high or 1.0]}
