"""The comparison page: two models on the same hearts, by measure and structure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vecsetx.evaluation.bootstrap import MIN_HEARTS
from vecsetx.evaluation.comparison import MIN_PAIRS, left_out
from vecsetx.evaluation.score_measures import MEASURES, Measure
from vecsetx.evaluation.scores import PARTS
from vecsetx.report.figures import Figure, figure, rgb, structure_axis
from vecsetx.report.template import write_page

_HEADLINES = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
"""Measures whose mean differences are at the top of the page, if they have a value."""


def write_comparison_page(path: Path, comparison: Mapping[str, Any]) -> None:
    """Write the page of a comparison.

    Args:
        path: The page.
        comparison: As in ``compare.json``.

    Raises:
        InputError: A structure is unknown.
    """
    parts = {"all structures": comparison}
    parts |= {f"{part} structures": comparison[part] for part in PARTS if part in comparison}
    compared = [
        (f"{part} {measure.name}", part, measure, found)
        for part, found in parts.items()
        for measure in MEASURES.values()
        if found["mean"].get(measure.name)
    ]
    write_page(
        path,
        "comparison.html.jinja",
        title="Two models compared",
        models=comparison["models"],
        hearts=comparison["hearts"],
        left_out=left_out(comparison),
        headlines=[MEASURES[name] for name in _HEADLINES if comparison["mean"].get(name)],
        mean=comparison["mean"],
        level=comparison["bootstrap"]["level"],
        min_hearts=MIN_HEARTS,
        min_pairs=MIN_PAIRS,
        compared=compared,
        several_parts=len(parts) > 1,
        data={
            "plots": {
                f"differences-{number}": differences_by_structure(found, measure)
                for number, (_, _, measure, found) in enumerate(compared)
            }
        },
    )


def differences_by_structure(part: Mapping[str, Any], measure: Measure) -> Figure:
    """Plot B − A: per structure the mean (dot), the hearts' range (thin) and the interval (thick).

    Args:
        part: ``structures`` and ``mean`` as in ``compare.json``.
        measure: The measure to plot.
    """
    found = {n: of[measure.name] for n, of in part["structures"].items() if measure.name in of}
    traces = []
    for row, (name, one) in enumerate(found.items()):
        for ends, width in ((one["range"], 1.5), (one["interval"], 5)):
            if ends:
                line = {"color": rgb(name), "width": width}
                traces.append(
                    go.Scatter(x=ends, y=[row, row], mode="lines", line=line, hoverinfo="skip")
                )
        traces.append(
            go.Scatter(
                name=name,
                x=[one["difference"]],
                y=[row],
                mode="markers",
                marker={"size": 10, "color": rgb(name)},
                hovertemplate=f"<b>{name}</b> %{{x:+.3f}}<extra></extra>",
            )
        )
    better = "higher" if measure.higher_is_better else "lower"
    title = {"text": f"{measure.title}: B − A ({better} is better)"}
    return figure(
        traces,
        height=90 + 34 * len(found),
        xaxis={"title": title, "zeroline": True},
        yaxis=structure_axis(list(found)),
    )
