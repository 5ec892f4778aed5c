"""The page of a training run: what was found in its journal, and its curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

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

_NOTES = {
    "Loss": "Training: mean since the entry before; logarithmic.",
    "Dice on the voxel grid": "Of hearts that are not trained on. The best model is the one kept.",
    "Terms of the loss (training)": "Weighted: they add up to the loss; logarithmic.",
    "Dice of each structure": "On the voxel grid, of the hearts scored each time.",
    "Terms of the loss (validation)": "Weighted likewise; logarithmic.",
    "Dice at sample points": "Mean over structures: a diagnostic, no score of shapes.",
    "Shares of the loss": "What each term is of the whole, in training.",
    "Learning rate": "The largest of all groups of weights.",
    "Gradient norms": "Length of each term's own gradient: how hard it pulls; logarithmic.",
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
    val = [row for row in history if row["split"] == "val"]
    drawn = training_curves(history) | _more_curves(train, val)
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


def mean_points_dice(points: Mapping[str, Mapping[str, float]]) -> float | None:
    """Mean over the structures of a validation's Dice at sample points; None if it has none.

    Args:
        points: ``points`` of an entry of the journal.
    """
    found = [of["dice"] for of in points.values() if is_number(of.get("dice"))]
    return fmean(found) if found else None


def _more_curves(train: Sequence[Row], val: Sequence[Row]) -> dict[str, Figure]:
    """Title → figure of what only this page shows; what the journal does not hold is left out."""
    percent = {"range": [0, 1], "tickformat": ".0%"}
    stacked = {"stackgroup": "shares", "line_width": 0.5, "hovertemplate": "%{y:.1%}"}
    of_validation = curves_of("terms", val, lambda _: MARKED)
    waiting = {"fill": "tozeroy", "hovertemplate": "%{y:.1%}"}
    return figures_over_steps(
        {
            "Terms of the loss (validation)": (of_validation, LOG_SCALE),
            "Shares of the loss": (curves_of("shares", train, lambda _: stacked), percent),
            "Dice of each structure": (
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
