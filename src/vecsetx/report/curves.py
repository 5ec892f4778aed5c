"""The page of a training run: what was found in its journal, and its curves."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vecsetx.report.figures import LOG_SCALE, Figure, Row, figure, is_number, training_curves
from vecsetx.report.template import write_page
from vecsetx.training.diagnosis import (
    Diagnosis,
    best_validation,
    steps_per_second,
    waiting_share,
)

_NOTES = {
    "Loss": "Mean since the entry before; logarithmic.",
    "Terms of the loss (training)": "Weighted: they add up to the loss; logarithmic.",
    "Shares of the loss": "What each term is of the whole.",
    "Learning rate": "The largest of all groups of weights.",
    "Dice on the voxel grid": "Of hearts that are not trained on. The best model is the one kept.",
    "Gradient norms": "Length of the gradient of each term alone: how hard it pulls; logarithmic.",
    "Waiting for data": "Share of the time.",
}
"""Title of a figure → what it shows, in the order of the page."""


def write_curves(path: Path, title: str, history: Sequence[Row], found: Diagnosis) -> None:
    """Write the page of a run.

    Args:
        path: The page.
        title: Its heading, the run's name.
        history: Lines of ``metrics.jsonl``, oldest first.
        found: What is said of them.
    """
    train = [row for row in history if row["split"] == "train" and is_number(row.get("loss"))]
    drawn = training_curves(history) | _more_curves(train)
    curves = {name: note for name, note in _NOTES.items() if name in drawn}
    write_page(
        path,
        "curves.html.jinja",
        title=title,
        found=found,
        train=train,
        best=best_validation(history),
        pace=steps_per_second(train),
        waiting=waiting_share(train),
        curves=curves,
        data={"plots": {f"curve-{n}": drawn[name] for n, name in enumerate(curves)}},
    )


def _more_curves(train: Sequence[Row]) -> dict[str, Figure]:
    """Title → figure of what only this page shows; what the journal does not hold is left out."""
    terms = list(dict.fromkeys(name for row in train for name in row.get("terms") or {}))
    norms = list(dict.fromkeys(name for row in train for name in row.get("gradient_norms") or {}))
    percent = {"range": [0, 1], "tickformat": ".0%"}
    drawn = {
        "Shares of the loss": (
            [
                _line(term, train, partial(_of, "shares", term))
                | {"stackgroup": "shares", "line": {"width": 0.5}, "hovertemplate": "%{y:.1%}"}
                for term in terms
            ],
            percent,
        ),
        "Gradient norms": (
            [_line(term, train, partial(_of, "gradient_norms", term)) for term in norms],
            LOG_SCALE,
        ),
        "Waiting for data": (
            [
                _line("waiting", train, lambda row: row.get("waiting"))
                | {"fill": "tozeroy", "hovertemplate": "%{y:.1%}"}
            ],
            percent,
        ),
    }
    return {
        title: figure(
            [go.Scatter(line) for line in lines],
            height=280,
            xaxis={"title": {"text": "step"}},
            yaxis=yaxis,
            hovermode="x unified",
            showlegend=len(lines) > 1,
        )
        for title, (lines, yaxis) in drawn.items()
        if any(line["x"] for line in lines)
    }


def _of(group: str, term: str, row: Row) -> Any:
    return (row.get(group) or {}).get(term)


def _line(name: str, rows: Sequence[Row], value_of: Callable[[Row], Any]) -> dict[str, Any]:
    points = [(row["step"], value) for row in rows if is_number(value := value_of(row))]
    return {
        "name": name,
        "x": [step for step, _ in points],
        "y": [value for _, value in points],
        "mode": "lines" if len(points) > 1 else "lines+markers",
        "line": {"width": 2},
        "hovertemplate": "%{y:.4g}",
    }
