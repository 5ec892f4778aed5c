"""The two pages, each one file that opens from disk and asks the network for nothing.

Templates, style and scripts lie in ``templates/``; plotly.js comes from the installed plotly. Every
value is escaped by jinja, and data for the scripts by its ``tojson``, so that a name from a file
system stays a name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from vecsetx.anatomy.structures import structure
from vecsetx.files import write_text
from vecsetx.report.figures import (
    dice_by_structure,
    is_number,
    rgb,
    training_curves,
    volumes_by_structure,
)
from vecsetx.report.scene import HeartView, heart_scenes, structures_shown

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
    page = _environment().get_template("report.html.jinja")
    text = page.render(
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
    write_text(path, text)


def write_check_page(path: Path, check: Mapping[str, Any]) -> None:
    """Write the quality page of a prepared data set.

    Args:
        path: The page.
        check: ``passed``, ``structures`` (names) and ``hearts``, each with ``name``, ``split``,
            ``patient``, ``passed``, ``problems``, ``volumes_ml``, ``inside_share``, ``points``,
            ``components`` and ``cut``.

    Raises:
        InputError: An unknown structure is named.
    """
    hearts = sorted(check["hearts"], key=lambda heart: heart["passed"])
    structures = list(check["structures"])
    page = _environment().get_template("check.html.jinja")
    text = page.render(
        title="Quality of the prepared data",
        passed=check["passed"],
        hearts=hearts,
        failed=[heart for heart in hearts if not heart["passed"]],
        patients=len({heart["patient"] for heart in hearts}),
        cut=sum(bool(heart["cut"]) for heart in hearts),
        splits={
            split: sum(heart["split"] == split for heart in hearts)
            for split in sorted({heart["split"] for heart in hearts})
        },
        structures=structures,
        quantities={
            "Volume (ml)": [heart["volumes_ml"] for heart in hearts],
            "Components": [heart["components"] for heart in hearts],
            "Surface points": [heart["points"]["surface"] for heart in hearts],
            "Near points": [heart["points"]["near"] for heart in hearts],
            "Volume points": [heart["points"]["volume"] for heart in hearts],
        },
        data={"plots": {"volumes": volumes_by_structure(structures, hearts)}},
    )
    write_text(path, text)


def _mean_dice(found: Mapping[str, Mapping[str, Any]]) -> float | None:
    dice = [scores["dice"] for scores in found.values() if is_number(scores["dice"])]
    return fmean(dice) if dice else None


def _environment() -> Environment:
    loader = PackageLoader("vecsetx.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.tests["finite"] = is_number
    environment.filters["decimals"] = _decimals
    environment.globals |= {
        "rgb": rgb,
        "structure": structure,
        "plotly_js": lambda: Markup(get_plotlyjs()),
        "verbatim": lambda name: Markup(loader.get_source(environment, name)[0]),
    }
    return environment


def _decimals(value: int | float, places: int) -> str:
    return f"{value:,.{places}f}"
