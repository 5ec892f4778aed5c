"""The score page: scores, hearts to turn, training curves, provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from vecsetx.report.figures import dice_by_structure, is_number, training_curves
from vecsetx.report.scene import HeartView, heart_scenes, structures_shown
from vecsetx.report.template import write_page

_MORE_SCORES = {
    "assd_mm": "ASSD (mm)",
    "hd95_mm": "HD95 (mm)",
    "nsd": "NSD",
    "volume_error": "Volume error",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a score page tells.

    Attributes:
        title: Heading of the page.
        scores: As in ``scores.json``: ``summary``, ``hearts`` and ``provenance``.
        history: Lines of the run's ``metrics.jsonl``, oldest first; may be empty.
        hearts: Hearts to turn in 3-D; may be empty.
        provenance: Where model, data and truth come from, as shown in a small table.
    """

    title: str
    scores: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    hearts: Sequence[HeartView]
    provenance: Mapping[str, str]


def write_report(path: Path, report: Report) -> None:
    """Write the score page: scores, hearts to turn, training curves, provenance.

    Raises:
        InputError: The scores name an unknown structure.
    """
    summary = report.scores["summary"]["structures"]
    hearts = report.scores["hearts"]
    scored = {name: found["dice"]["mean"] for name, found in summary.items()}
    known = {name: mean for name, mean in scored.items() if is_number(mean)}
    write_page(
        path,
        "report.html.jinja",
        title=report.title,
        mean=report.scores["summary"]["mean"],
        worst=min(known.items(), key=lambda item: item[1], default=None),
        structures=summary,
        more_scores={
            key: title
            for key, title in _MORE_SCORES.items()
            if any(key in found for found in summary.values())
        },
        hearts={name: (found, _mean_dice(found)) for name, found in hearts.items()},
        provenance=report.provenance,
        shown=[view.name for view in report.hearts],
        chips=structures_shown(report.hearts),
        curves=list(curves := training_curves(report.history)),
        data={
            "plots": {"dice": dice_by_structure(report.scores)}
            | {f"curve-{number}": figure for number, figure in enumerate(curves.values())},
            "hearts": [
                {"name": view.name, "dice": view.dice if is_number(view.dice) else None}
                | heart_scenes(view)
                for view in report.hearts
            ],
        },
    )


def _mean_dice(found: Mapping[str, Mapping[str, Any]]) -> float | None:
    dice = [scores["dice"] for scores in found.values() if is_number(scores["dice"])]
    return fmean(dice) if dice else None
