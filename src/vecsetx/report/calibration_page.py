"""The calibration page, and figures that compare standard deviations with true errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.report.figures import Figure, figure
from vecsetx.report.template import write_page

_IDEAL = {"mode": "lines", "line": {"width": 1.5, "dash": "dot", "color": "#8b94a3"}}
_MEASURED = {"mode": "lines+markers", "line": {"width": 2}, "marker": {"size": 7}}


def reliability_diagram(calibrations: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Observed against nominal coverage: the share of vertices within a multiple of their s.d.

    Kuleshov et al., ICML 2018.

    Args:
        calibrations: Name of a curve → a :class:`~vecsetx.evaluation.calibration.Calibration` as
            plain data.
    """
    traces = [go.Scatter(name="ideal", x=[0, 1], y=[0, 1], hoverinfo="skip", **_IDEAL)]
    traces += [
        go.Scatter(
            name=name,
            x=list(calibration["nominal"]),
            y=[round(share, 4) for share in calibration["observed"]],
            hovertemplate="nominal %{x:.0%}, observed %{y:.1%}",
            **_MEASURED,
        )
        for name, calibration in calibrations.items()
    ]
    share = {"range": [0, 1.02], "tickformat": ".0%"}
    return figure(
        traces,
        height=420,
        xaxis={"title": {"text": "nominal share of vertices"}} | share,
        yaxis={"title": {"text": "observed share of vertices"}} | share,
        showlegend=True,
    )


def error_by_sd_figure(calibrations: Mapping[str, Mapping[str, Any]]) -> Figure:
    """RMS error against standard deviation, mm, in bins of vertices with similar s.d.

    Levi et al., Sensors 2022.

    Args:
        calibrations: As in :func:`reliability_diagram`.
    """
    bins = [part for calibration in calibrations.values() for part in calibration["bins"]]
    end = 1.05 * max(max(part["sd_mm"], part["error_mm"]) for part in bins)
    traces = [go.Scatter(name="ideal", x=[0, end], y=[0, end], hoverinfo="skip", **_IDEAL)]
    traces += [
        go.Scatter(
            name=name,
            x=[round(part["sd_mm"], 4) for part in calibration["bins"]],
            y=[round(part["error_mm"], 4) for part in calibration["bins"]],
            text=[f"{part['vertices']:,} vertices" for part in calibration["bins"]],
            hovertemplate="s.d. %{x:.2f} mm, error %{y:.2f} mm<br>%{text}",
            **_MEASURED,
        )
        for name, calibration in calibrations.items()
    ]
    axis = {"range": [0, end], "tickformat": "~g"}
    return figure(
        traces,
        height=420,
        xaxis={"title": {"text": "standard deviation (mm)"}} | axis,
        yaxis={"title": {"text": "RMS error (mm)"}} | axis,
        showlegend=True,
    )


def write_calibration_page(path: Path, calibration: Mapping[str, Any]) -> None:
    """Write the page of a calibration.

    Args:
        path: The page.
        calibration: As in ``calibration.json``.
    """
    compared = {"uncalibrated": calibration["before"], "calibrated": calibration["after"]}
    write_page(
        path,
        "calibration.html.jinja",
        title="Uncertainty calibration",
        calibration=calibration,
        compared=compared,
        multiples=list(zip(MULTIPLES, EXPECTED, strict=True)),
        data={
            "plots": {
                "reliability": reliability_diagram(compared),
                "error-by-sd": error_by_sd_figure(compared),
            }
        },
    )
