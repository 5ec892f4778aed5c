"""The score page: scores, hearts to turn and to cut, training curves, provenance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.evaluation.scores import PARTS
from vecsetx.report.calibration import coverage_figure, reliability_figure
from vecsetx.report.figures import Figure, is_number, training_curves
from vecsetx.report.ranking import mean_dice, ranks
from vecsetx.report.scene import (
    DISTANCE_STEP_MM,
    MAX_FACES,
    HeartView,
    pack_heart,
    structures_shown,
)
from vecsetx.report.score_figures import (
    hidden_structures,
    measures_found,
    observed_beside_inferred,
    scores_by_structure,
    structures_in_turn,
)
from vecsetx.report.template import write_page

_HEADLINES = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
"""Measures whose means stand at the top of the page, as far as they were measured."""

_BESIDE = ("dice", "assd_mm")
"""Measures of which observed and inferred structures are set side by side."""

_PLACES = {"dice": 3, "iou": 3, "nsd": 3, "cldice": 3, "volume_error_relative": 3, "mesh_nsd": 3}
"""Decimal places of measures; others have 2."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a score page tells.

    Attributes:
        title: Heading of the page.
        scores: As in ``scores.json``: ``summary`` and ``hearts``; ``observed`` and ``inferred``,
            if anything was hidden; ``calibration``, if hearts were drawn; and ``scoring``, whose
            tolerance is shown with the provenance, if it is there.
        history: Lines of the run's ``metrics.jsonl``, oldest first; may be empty.
        hearts: Hearts to turn in 3-D; may be empty. They are asked for one by one, so they need not
            be in memory at the same time; twenty of them make a page that can be mailed.
        provenance: Where model, data and truth come from, as shown in a small table.
    """

    title: str
    scores: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    hearts: Iterable[HeartView]
    provenance: Mapping[str, str]


def write_report(path: Path, report: Report) -> None:
    """Write the score page: scores, hearts to turn and to cut, training curves, provenance.

    Raises:
        InputError: The scores name an unknown structure.
    """
    scores = report.scores
    summary, hearts = scores["summary"], scores["hearts"]
    measures = measures_found(scores)
    means = {name: mean_dice(found) for name, found in hearts.items()}
    ranked = ranks(hearts)
    shown = [pack_heart(view) for view in report.hearts]
    plots = {f"scores-{m.name}": scores_by_structure(scores, m) for m in measures}
    beside = [measure for measure in measures if measure.name in _BESIDE]
    in_turn = structures_in_turn(scores)
    if in_turn:
        plots |= {f"beside-{m.name}": observed_beside_inferred(scores, m) for m in beside}
    sure, of_sure = _sureness(scores.get("calibration"))
    plots |= of_sure
    curves = training_curves(report.history)
    write_page(
        path,
        "report.html.jinja",
        title=report.title,
        summary=summary,
        headlines=[MEASURES[name] for name in _HEADLINES if _has_mean(summary, name)],
        lowest=_lowest(summary["structures"]),
        ranks=[(rank, name, means[name]) for name, rank in ranked.items()],
        measures=measures,
        places={m.name: _PLACES.get(m.name, 2) for m in measures},
        means=means,
        hearts=hearts,
        parts={part: scores[part] for part in PARTS if part in scores},
        hidden=hidden_structures(scores),
        in_turn=in_turn,
        beside=beside,
        sure=sure,
        provenance={**report.provenance, **_tolerance(scores)},
        shown=shown,
        ranked=ranked,
        chips=structures_shown(shown),
        max_faces=MAX_FACES,
        curves=list(curves),
        data={
            "plots": plots | {f"curve-{n}": drawn for n, drawn in enumerate(curves.values())},
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


def _sureness(
    told: Mapping[str, Any] | None,
) -> tuple[dict[str, Any] | None, dict[str, Figure]]:
    """What the page says of how sure the model is, and the figures of it."""
    if told is None:
        return None, {}
    kind = "as drawn" if told["factors"] == "uncalibrated" else "calibrated"
    drawn = {} if told["all"] is None else {kind: told["all"]}
    plots = {"sure-coverage": coverage_figure, "sure-bins": reliability_figure} if drawn else {}
    return (
        {"told": told, "drawn": drawn, "multiples": list(zip(MULTIPLES, EXPECTED, strict=True))},
        {name: of(drawn) for name, of in plots.items()},
    )


def _tolerance(scores: Mapping[str, Any]) -> dict[str, str]:
    if "scoring" not in scores:
        return {}
    return {"tolerance of NSD": f"{scores['scoring']['tolerance_mm']:g} mm"}


def _lowest(structures: Mapping[str, Any]) -> tuple[str, float] | None:
    means = {name: found["dice"]["mean"] for name, found in structures.items()}
    known = [(mean, name) for name, mean in means.items() if is_number(mean)]
    return min(known)[::-1] if known else None


def _has_mean(summary: Mapping[str, Any], measure: str) -> bool:
    return measure == "dice" or is_number(summary["mean"].get(measure))
