"""The page of a training run: its diagnosis and its curves."""

from collections.abc import Sequence
from pathlib import Path

from vecsetx.report.figures import (
    LOG_SCALE,
    MARKED,
    Figure,
    Row,
    curve,
    curves_of,
    figures_over_steps,
    is_number,
    rgb,
    training_curves,
)
from vecsetx.report.template import write_page
from vecsetx.training.diagnosis import (
    Diagnosis,
    best_validation,
    steps_per_second,
    waiting_share,
)
from vecsetx.training.journal import mean_points_dice

_CAPTIONS = {
    "Loss": "Training: mean since the previous entry. Log scale.",
    "Dice on the voxel grid": "Validation hearts. The best model is kept.",
    "Loss terms (training)": "Weighted; they add up to the loss. Log scale.",
    "Dice per structure": "Validation hearts, on the voxel grid.",
    "Loss terms (validation)": "Weighted; they add up to the loss. Log scale.",
    "Dice at sample points": "Validation hearts, mean over structures. Does not score shapes.",
    "Loss shares": "Share of each term in the training loss.",
    "Learning rate": "Maximum over the parameter groups.",
    "Gradient norms": "Norm of the gradient of each loss term. Log scale.",
    "Waiting for data": "Share of the training time.",
}
"""Title of a figure → its caption, in the order of the page."""


def write_curves(path: Path, title: str, history: Sequence[Row], diagnosis: Diagnosis) -> None:
    """Write the page of a training run.

    Args:
        path: The page.
        title: Heading: the run's name.
        history: Lines of ``metrics.jsonl``, oldest first.
        diagnosis: Diagnosis of the same lines.
    """
    train = [row for row in history if row["split"] == "train" and is_number(row.get("loss"))]
    val = [row for row in history if row["split"] == "val"]
    figures = training_curves(history) | _more_curves(train, val)
    captions = {title: caption for title, caption in _CAPTIONS.items() if title in figures}
    write_page(
        path,
        "curves.html.jinja",
        title=title,
        diagnosis=diagnosis,
        train=train,
        best=best_validation(history),
        pace=steps_per_second(train),
        waiting=waiting_share(train),
        captions=captions,
        data={"plots": {f"curve-{n}": figures[title] for n, title in enumerate(captions)}},
    )


def _more_curves(train: Sequence[Row], val: Sequence[Row]) -> dict[str, Figure]:
    """Figures that only this page has, by title; figures without data are left out."""
    percent = {"range": [0, 1], "tickformat": ".0%"}
    stacked = {"stackgroup": "shares", "line_width": 0.5, "hovertemplate": "%{y:.1%}"}
    validation_terms = curves_of("terms", val, lambda _: MARKED)
    waiting = {"fill": "tozeroy", "hovertemplate": "%{y:.1%}"}
    return figures_over_steps(
        {
            "Loss terms (validation)": (validation_terms, LOG_SCALE),
            "Loss shares": (curves_of("shares", train, lambda _: stacked), percent),
            "Dice per structure": (
                curves_of("grid", val, lambda name: MARKED | {"line_color": rgb(name)}),
                {},
            ),
            "Dice at sample points": (
                [curve("mean", val, _points_dice, **MARKED)],
                {},
            ),
            "Gradient norms": (curves_of("gradient_norms", train), LOG_SCALE),
            "Waiting for data": (
                [curve("waiting", train, lambda row: row.get("waiting"), **waiting)],
                percent,
            ),
        }
    )


def _points_dice(row: Row) -> float | None:
    return mean_points_dice(row.get("points") or {})
