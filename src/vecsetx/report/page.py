"""The score page: scores, 3-D viewer, uncertainty, training curves and provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecsetx.evaluation.bootstrap import MIN_HEARTS
from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.evaluation.scores import PARTS
from vecsetx.report.calibration_page import error_by_sd_figure, reliability_diagram
from vecsetx.report.figures import Figure, is_number, training_curves
from vecsetx.report.ranking import mean_dice, ranks
from vecsetx.report.scene import (
    DISTANCE_STEP_MM,
    MAX_FACES,
    PackedHeart,
    structures_shown,
)
from vecsetx.report.score_figures import (
    hidden_structures,
    measures_found,
    observed_and_inferred,
    scores_by_structure,
    structures_hidden_in_turn,
)
from vecsetx.report.template import write_page

_HEADLINES = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
"""Measures whose means are at the top of the page, if they have a value."""

_COMPARED = ("dice", "assd_mm")
"""Measures for which observed and inferred structures are compared."""

_PLACES = {"dice": 3, "iou": 3, "nsd": 3, "cldice": 3, "volume_error_relative": 3, "mesh_nsd": 3}
"""Decimal places of measures; 2 for others."""


@dataclass(frozen=True, slots=True)
class Report:
    """Content of a score page.

    Attributes:
        title: Heading of the page.
        scores: As in ``scores.json``: ``summary`` and ``hearts``; ``observed`` and ``inferred`` if
            structures were hidden; ``calibration`` if an ensemble was scored; and optionally
            ``scoring``, whose tolerance is listed with the provenance.
        history: Lines of the run's ``metrics.jsonl``, oldest first; may be empty.
        hearts: Hearts for the 3-D viewer; may be empty. A page with twenty of them is small enough
            for email.
        provenance: Origin of model, data and truth, shown as a table.
    """

    title: str
    scores: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    hearts: Sequence[PackedHeart]
    provenance: Mapping[str, str]


def write_report(path: Path, report: Report) -> None:
    """Write the score page.

    Raises:
        InputError: A structure in the scores is unknown.
    """
    scores = report.scores
    summary, hearts = scores["summary"], scores["hearts"]
    measures = measures_found(scores)
    means = {name: mean_dice(found) for name, found in hearts.items()}
    ranked = ranks(hearts)
    shown = report.hearts
    plots = {f"scores-{m.name}": scores_by_structure(scores, m) for m in measures}
    compared = [measure for measure in measures if measure.name in _COMPARED]
    hidden_in_turn = structures_hidden_in_turn(scores)
    if hidden_in_turn:
        plots |= {f"compared-{m.name}": observed_and_inferred(scores, m) for m in compared}
    uncertainty = _uncertainty(scores.get("calibration"))
    plots |= _uncertainty_figures(uncertainty)
    curves = training_curves(report.history)
    write_page(
        path,
        "report.html.jinja",
        title=report.title,
        summary=summary,
        min_hearts=MIN_HEARTS,
        headlines=[MEASURES[name] for name in _HEADLINES if _has_mean(summary, name)],
        lowest=_lowest(summary["structures"]),
        ranks=[(rank, name, means[name]) for name, rank in ranked.items()],
        measures=measures,
        places={m.name: _PLACES.get(m.name, 2) for m in measures},
        means=means,
        hearts=hearts,
        parts={part: scores[part] for part in PARTS if part in scores},
        hidden=hidden_structures(scores),
        hidden_in_turn=hidden_in_turn,
        compared=compared,
        uncertainty=uncertainty,
        provenance={**report.provenance, **_tolerance(scores)},
        points=0,
        shown=shown,
        ranked=ranked,
        chips=structures_shown(shown),
        max_faces=MAX_FACES,
        curves=list(curves),
        data={
            "plots": plots | {f"curve-{n}": curve for n, curve in enumerate(curves.values())},
            "hearts": [
                {
                    "name": heart.name,
                    "layout": heart.layout,
                    "dice": {
                        name: found["dice"] if is_number(found["dice"]) else None
                        for name, found in hearts.get(heart.name, {}).items()
                    },
                }
                for heart in shown
            ],
            "distanceStep": DISTANCE_STEP_MM,
        },
    )


def _uncertainty(calibration: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Values of the section on uncertainty; None without an ensemble.

    Args:
        calibration: As in ``scores.json``. Its ``all`` is None if no hidden structure was
            reconstructed; then there is nothing to plot.
    """
    if calibration is None:
        return None
    kind = "uncalibrated" if calibration["factors"] == "uncalibrated" else "calibrated"
    return {
        "calibration": calibration,
        "compared": {} if calibration["all"] is None else {kind: calibration["all"]},
        "multiples": list(zip(MULTIPLES, EXPECTED, strict=True)),
    }


def _uncertainty_figures(uncertainty: Mapping[str, Any] | None) -> dict[str, Figure]:
    if uncertainty is None or not uncertainty["compared"]:
        return {}
    return {
        "uncertainty-reliability": reliability_diagram(uncertainty["compared"]),
        "uncertainty-error-by-sd": error_by_sd_figure(uncertainty["compared"]),
    }


def _tolerance(scores: Mapping[str, Any]) -> dict[str, str]:
    if "scoring" not in scores:
        return {}
    return {"tolerance of NSD": f"{scores['scoring']['tolerance_mm']:g} mm"}


def _lowest(structures: Mapping[str, Any]) -> tuple[str, float] | None:
    """The structure with the lowest mean Dice, and that Dice; None if none was scored."""
    means = {name: found["dice"]["mean"] for name, found in structures.items()}
    known = [(mean, name) for name, mean in means.items() if is_number(mean)]
    return min(known)[::-1] if known else None


def _has_mean(summary: Mapping[str, Any], measure: str) -> bool:
    return measure == "dice" or is_number(summary["mean"].get(measure))
