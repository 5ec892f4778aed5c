"""Figures of a calibration: what standard deviations promise, and what they keep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.report.figures import Figure, figure
from vecsetx.report.template import write_page

_EXACT = {"mode": "lines", "line": {"width": 1.5, "dash": "dot", "color": "#8b94a3"}}
_DRAWN = {"mode": "lines+markers", "line": {"width": 2}, "marker": {"size": 7}}


def coverage_figure(calibrations: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Share of the vertices whose true surface lies within what was promised to hold so many.

    Args:
        calibrations: What each curve is called → a
            :class:`~vecsetx.evaluation.calibration.Calibration` as plain data.
    """
    traces = [go.Scatter(name="exact", x=[0, 1], y=[0, 1], hoverinfo="skip", **_EXACT)]
    traces += [
        go.Scatter(
            name=name,
            x=list(found["nominal"]),
            y=[round(share, 4) for share in found["observed"]],
            hovertemplate="promised %{x:.0%}, kept %{y:.1%}",
            **_DRAWN,
        )
        for name, found in calibrations.items()
    ]
    share = {"range": [0, 1.02], "tickformat": ".0%"}
    return figure(
        traces,
        height=420,
        xaxis={"title": {"text": "share of the vertices that should lie within"}} | share,
        yaxis={"title": {"text": "share that does"}} | share,
        showlegend=True,
    )


def reliability_figure(calibrations: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Error against standard deviation, of vertices in groups of about the same of the latter.

    Args:
        calibrations: As in :func:`coverage_figure`.
    """
    bins = [one for found in calibrations.values() for one in found["bins"]]
    end = 1.05 * max(max(one["sd_mm"], one["error_mm"]) for one in bins)
    traces = [go.Scatter(name="exact", x=[0, end], y=[0, end], hoverinfo="skip", **_EXACT)]
    traces += [
        go.Scatter(
            name=name,
            x=[round(one["sd_mm"], 4) for one in found["bins"]],
            y=[round(one["error_mm"], 4) for one in found["bins"]],
            text=[f"{one['vertices']:,} vertices" for one in found["bins"]],
            hovertemplate="s.d. %{x:.2f} mm, error %{y:.2f} mm<br>%{text}",
            **_DRAWN,
        )
        for name, found in calibrations.items()
    ]
    axis = {"range": [0, end], "tickformat": "~g"}
    return figure(
        traces,
        height=420,
        xaxis={"title": {"text": "standard deviation (mm)"}} | axis,
        yaxis={"title": {"text": "root mean square error (mm)"}} | axis,
        showlegend=True,
    )


def write_calibration_page(path: Path, found: Mapping[str, Any]) -> None:
    """Write the page of a calibration.

    Args:
        path: The page.
        found: As in ``calibration.json``.
    """
    drawn = {"as drawn": found["before"], "calibrated": found["after"]}
    write_page(
        path,
        "calibration.html.jinja",
        title="How sure the model is",
        found=found,
        drawn=drawn,
        multiples=list(zip(MULTIPLES, EXPECTED, strict=True)),
        data={"plots": {"coverage": coverage_figure(drawn), "bins": reliability_figure(drawn)}},
    )
