"""Figures of the check pages: distributions over the hearts of a data set, with outliers."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from vecsetx.report.figures import (
    LOG_SCALE,
    Figure,
    Row,
    axis_with_ticks,
    figure,
    is_number,
    jitter,
    rgb,
    structure_axis,
)
from vecsetx.sampling.quality.cohort import MAX_Z
from vecsetx.sampling.samples import Samples

_COLORS = {"fit": "rgba(110, 130, 160, 0.7)", "look": "#d9962b", "unfit": "#d6414a"}
"""Colours of hearts by state."""

_DISTANCE_BINS = np.linspace(-15, 15, 121)
_MAX_LABELS = 12
"""Maximum number of outliers labelled in a figure: the most extreme ones."""


class _Dot(NamedTuple):
    """One heart's value for a structure; ``z`` is the magnitude of its z-score, 0 if unknown."""

    row: int
    value: float
    heart: str
    z: float


def boxes_by_structure(
    structures: Sequence[str], hearts: Sequence[Row], measure: str, title: str, unit: str
) -> Figure:
    """Plot a measure of all hearts: a box per structure, a dot per heart, outliers labelled.

    The scale is logarithmic.

    Args:
        structures: Names, in the order of the rows.
        hearts: As in ``check.json``.
        measure: ``volume`` or ``thickness``, the prefix of the keys ``…_ml`` or ``…_mm`` and
            ``…_z``. Missing values and zeros have no dot.
        title: Title of the axis.
        unit: ``ml`` or ``mm``.
    """
    dots = _dots(structures, hearts, measure, unit)
    boxes = [
        _box(name, row, [dot for dot in dots if dot.row == row], unit)
        for row, name in enumerate(structures)
    ]
    values = [dot.value for dot in dots]
    return figure(
        [*boxes, _outliers(dots)],
        height=90 + 44 * len(structures),
        xaxis={"title": {"text": title}} | axis_with_ticks(LOG_SCALE, values),
        yaxis=structure_axis(structures),
    )


def _dots(structures: Sequence[str], hearts: Sequence[Row], measure: str, unit: str) -> list[_Dot]:
    dots = []
    for row, name in enumerate(structures):
        for heart in hearts:
            structure = heart["structures"].get(name, {})
            value, z = structure.get(f"{measure}_{unit}"), structure.get(f"{measure}_z")
            if is_number(value) and value > 0:  # the scale is logarithmic
                label = html.escape(heart["name"], quote=False)
                dots.append(_Dot(row, value, label, abs(z) if is_number(z) else 0.0))
    return dots


def _box(name: str, row: int, dots: Sequence[_Dot], unit: str) -> go.Box:
    return go.Box(
        name=name,
        x=[dot.value for dot in dots],
        y=[row] * len(dots),
        text=[dot.heart for dot in dots],
        orientation="h",
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        width=0.62,
        line={"color": rgb(name), "width": 1.5},
        fillcolor=rgb(name, 0.15),
        marker={"size": 5, "color": rgb(name, 0.75)},
        hoveron="points",
        hovertemplate=f"<b>{name}</b> %{{x:.4~g}} {unit}<br>%{{text}}<extra></extra>",
    )


def _outliers(dots: Sequence[_Dot]) -> go.Scatter:
    """Circle and label the most extreme outliers."""
    extreme = [dot for dot in dots if dot.z > MAX_Z]
    labelled = sorted(extreme, key=lambda dot: (dot.z, dot.value, dot.row, dot.heart), reverse=True)
    labelled = labelled[:_MAX_LABELS]
    return go.Scatter(
        name="outliers",
        x=[dot.value for dot in labelled],
        y=[dot.row for dot in labelled],
        text=[f" {dot.heart} " for dot in labelled],
        mode="markers+text",
        textposition="top center",
        textfont={"size": 11},
        marker={
            "size": 11,
            "symbol": "circle-open",
            "color": _COLORS["look"],
            "line": {"width": 2},
        },
        hoverinfo="skip",
        cliponaxis=False,
    )


def inside_shares(hearts: Sequence[Row]) -> Figure:
    """Plot the inside shares and the label agreement of each heart, coloured by state."""
    rows: Mapping[str, list[Any]] = {
        "near points inside": [heart["inside_share"].get("near") for heart in hearts],
        "volume points inside": [heart["inside_share"].get("volume") for heart in hearts],
        "label agreement": [heart["agreement"] for heart in hearts],
    }
    traces = []
    for height, (title, values) in enumerate(rows.items()):
        known = [
            (100 * value, heart)
            for value, heart in zip(values, hearts, strict=True)
            if is_number(value)
        ]
        traces.append(
            go.Scatter(
                name=title,
                x=[value for value, _ in known],
                y=(height + jitter(len(known))).tolist(),
                text=[html.escape(heart["name"], quote=False) for _, heart in known],
                mode="markers",
                marker={
                    "size": 8,
                    "color": [_COLORS[heart["state"]] for _, heart in known],
                },
                hovertemplate=f"<b>{title}</b> %{{x:.1f}}%<br>%{{text}}<extra></extra>",
            )
        )
    return figure(
        traces,
        height=220,
        xaxis={"title": {"text": "% of points"}, "range": [0, 101]},
        yaxis=structure_axis(list(rows)),
    )


def distance_histograms(samples: Samples) -> dict[str, Figure]:
    """Plot histograms of the distances at near and volume points, a curve per structure.

    Returns:
        Title → figure. Distances beyond ±15 mm, and those that are unknown because the field of
        view ends, are left out.
    """
    figures = {}
    for title, group in (("Near points", samples.near), ("Volume points", samples.volume)):
        trusted = samples.info.trusted(group)
        middle = (_DISTANCE_BINS[1:] + _DISTANCE_BINS[:-1]) / 2
        traces = []
        for k, name in enumerate(samples.info.structures):
            counts, _ = np.histogram(group.distances_mm[trusted[:, k], k], _DISTANCE_BINS)
            traces.append(
                go.Scatter(
                    name=name,
                    x=middle.tolist(),
                    y=counts.tolist(),
                    mode="lines",
                    line={"color": rgb(name), "width": 2, "shape": "hvh"},
                    hovertemplate=f"<b>{name}</b> %{{y}} points at %{{x:.2f}} mm<extra></extra>",
                )
            )
        figures[title] = figure(
            traces,
            height=300,
            showlegend=True,
            xaxis={"title": {"text": "signed distance (mm, negative inside)"}},
            yaxis={"title": {"text": "number of points"}, "rangemode": "tozero"},
        )
    return figures
