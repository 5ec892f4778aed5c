"""Tables of the commands' results on the terminal."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.report.ranking import doubtful_first
from vecsetx.terminal.progress_bars import console

__all__ = [
    "print_calibration",
    "print_check",
    "print_evaluation",
    "print_heart_check",
    "print_scores",
    "print_uncertainty",
]

_MOST_ROWS = 20
"""Largest number of hearts in a table; the pages list all of them."""

_NARROW: Any = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
"""Style of tables with many columns, which have to fit into 80 characters."""


def print_evaluation(scores: Mapping[str, Any]) -> None:
    """Print the scores, observed and inferred structures apart if any were hidden.

    Args:
        scores: As in ``scores.json``.
    """
    if "inferred" in scores:
        for part, which in (("observed", "shown to the model"), ("inferred", "hidden from it")):
            console.print(f"\n{part.capitalize()}: structures {which}")
            print_scores({"summary": scores[part]})
    else:
        print_scores(scores)
    if "calibration" in scores:
        print_uncertainty(scores["calibration"])


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print a row per structure: Dice and its interval, surface distances, clDice, misses.

    Args:
        scores: As in ``scores.json``.
    """
    table = Table(title="Scores on the voxel grid of the label maps", **_NARROW)
    table.add_column("Structure", no_wrap=True)
    shown = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
    for heading in ("Dice", "Interval", *(MEASURES[name].title for name in shown[1:])):
        table.add_column(heading, justify="right")
    for heading in ("Hearts", "Missed"):
        table.add_column(heading, justify="right")
    states = scores["summary"]["states"]
    for name, measures in scores["summary"]["structures"].items():
        low_high = measures["dice"].get("interval")
        interval = "–".join(map(_three_digits, low_high)) if low_high else ""
        dice, *others = (_three_digits(measures[m]["mean"]) if m in measures else "" for m in shown)
        counts = str(measures["dice"]["n"]), str(states[name].get("missed", 0) or "")
        table.add_row(name, dice, interval, *others, *counts)
    mean = scores["summary"]["mean"]
    dice, *others = (_three_digits(mean[m]) if m in mean else "" for m in shown)
    table.add_section()
    table.add_row("mean", dice, "", *others, "", "", style="bold")
    console.print(table)


def print_check(result: Mapping[str, Any]) -> None:
    """Print a row per structure, and the hearts with remarks and with problems.

    Args:
        result: As in ``check.json``.
    """
    hearts, summary = result["hearts"], result["summary"]
    _print_structures(result)
    remarked = [h for h in doubtful_first(hearts) if h["passed"] and h["remarks"]]
    _print_findings(f"{len(remarked)} hearts have remarks", remarked, "remarks", "yellow")
    if summary["not_done"]:
        console.print(f"[yellow]{summary['not_done']} hearts could not be checked in full[/]")
    failed = [heart for heart in hearts if not heart["passed"]]
    if failed:
        title = f"{len(failed)} of {len(hearts)} hearts are unfit for training"
        _print_findings(title, failed, "problems", "red")
    else:
        console.print(f"[green]all {len(hearts)} hearts are fit for training[/]")


def print_heart_check(result: Mapping[str, Any]) -> None:
    """Print a row per structure of one heart, and its problems and remarks.

    Args:
        result: The result for this heart alone, otherwise as in ``check.json``.
    """
    (heart,) = result["hearts"]
    title = f"{escape(heart['name'])} ({heart['split']}, fold {heart['fold']})"
    table = Table(title=title, **_NARROW)
    table.add_column("Structure", no_wrap=True)
    table.add_column("State")
    headings = ("mm³", "z", "Components", "2V/A", "Surface", "Near", "Volume", "Slope", "Agreement")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, found in heart["structures"].items():
        points = found["points"] or {}
        table.add_row(
            name,
            found["state"],
            _number(found["volume_mm3"], ",.0f"),
            _number(found["volume_z"], "+.1f"),
            _number(found["components"], "d"),
            _number(found["thickness_mm"], ".1f"),
            *(_number(points.get(group), ",d") for group in ("surface", "near", "volume")),
            _number(found["slope"], ".3f"),
            _number(found["agreement"], ".1%"),
        )
    console.print(table)
    for kind, color in (("problems", "red"), ("remarks", "yellow"), ("not_done", "yellow")):
        for line in heart[kind]:
            console.print(f"[{color}]{kind.replace('_', ' ').removesuffix('s')}:[/] {escape(line)}")
    if heart["passed"]:
        console.print(f"[green]{escape(heart['name'])} is fit for training[/]")


def _print_structures(result: Mapping[str, Any]) -> None:
    table = Table(title="Structures (medians over the hearts)", **_NARROW)
    table.add_column("Structure", no_wrap=True)
    headings = ("Whole", "Cut", "Absent", "Not annotated", "ml", "2V/A mm", "Slope", "Agreement")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in result["structures"]:
        found = [heart["structures"].get(name, {}) for heart in result["hearts"]]
        states = result["summary"]["states"][name]
        middle = {
            key: median(values) if (values := [f[key] for f in found if f.get(key)]) else None
            for key in ("volume_ml", "thickness_mm", "slope", "agreement")
        }
        table.add_row(
            name,
            *map(str, states.values()),
            _number(middle["volume_ml"], ".1f"),
            _number(middle["thickness_mm"], ".1f"),
            _number(middle["slope"], ".2f"),
            _number(middle["agreement"], ".1%"),
        )
    console.print(table)


def _print_findings(title: str, hearts: list[dict[str, Any]], kind: str, color: str) -> None:
    if not hearts:
        return
    table = Table(title=title)
    table.add_column("Heart")
    table.add_column(kind.capitalize())
    for heart in hearts[:_MOST_ROWS]:
        table.add_row(escape(heart["name"]), "\n".join(map(escape, heart[kind])), style=color)
    console.print(table)
    if len(hearts) > _MOST_ROWS:
        console.print(f"and {len(hearts) - _MOST_ROWS} more: see check.html")


def _number(value: int | float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _three_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def print_calibration(found: Mapping[str, Any]) -> None:
    """Print a row per structure and one for all, from the hearts that test the factors.

    Args:
        found: As in ``calibration.json``.
    """
    table = Table(title="Calibration of inferred surfaces, on the test hearts", **_NARROW)
    table.add_column("Structure", no_wrap=True)
    headings = ("Factor", "Within 2 s.d.", "Uncalibrated", "Mean s.d. mm", "RMS error mm")
    for heading in (*headings, "Hearts", "Missed"):
        table.add_column(heading, justify="right")
    for name, one in found["structures"].items():
        table.add_row(
            name,
            f"{one['factor']:.2f}" if one["own_factor"] else f"({one['factor']:.2f})",
            *(_percent(one[key] and one[key][1]) for key in ("within", "within_before")),
            *(_number(one[key], ".2f") for key in ("mean_sd_mm", "rms_error_mm")),
            str(one["hearts"]),
            str(one["missed"] or ""),
        )
    after, before = found["after"], found["before"]
    table.add_section()
    table.add_row(
        "all",
        "",
        *(_percent(one["within"][1]) for one in (after, before)),
        *(_number(after[key], ".2f") for key in ("mean_sd_mm", "rms_error_mm")),
        *("", ""),
        style="bold",
    )
    if beyond := found["beyond"]:
        table.add_row(
            "beyond a cut",
            f"{found['cut_factor']:.2f}",
            *(_percent(beyond[when]["within"][1]) for when in ("after", "before")),
            *(_number(beyond["after"][key], ".2f") for key in ("mean_sd_mm", "rms_error_mm")),
            *("", ""),
        )
    console.print(table)
    shares = "; ".join(
        f"{multiple} s.d. {_percent(before['within'][row])} → {_percent(after['within'][row])} "
        f"(expected {_percent(EXPECTED[row])})"
        for row, multiple in enumerate(MULTIPLES)
    )
    console.print(
        f"factors from {_hearts(found['hearts_fitted'])}; structures found in too few of them "
        f"have the factor over all structures, {found['factor']:.3f}, in brackets. Within, on "
        f"{_hearts(found['hearts_tested'], 'test ')}: {shares}"
    )
    if found["few"]:
        console.print("[yellow]few hearts: the factors are unreliable; calibrate on more[/]")


def print_uncertainty(found: Mapping[str, Any]) -> None:
    """Print one line: how often inferred surfaces lie within their standard deviations.

    Args:
        found: ``calibration`` as in ``scores.json``.
    """
    kind = _calibrated_text(found["factors"])
    if found["all"] is None:
        console.print("uncertainty: none of the hidden structures was reconstructed")
        return
    shares = "; ".join(
        f"{multiple} s.d. {_percent(share)} (expected {_percent(expected)})"
        for multiple, share, expected in zip(
            MULTIPLES, found["all"]["within"], EXPECTED, strict=True
        )
    )
    console.print(f"uncertainty ({kind}): inferred surfaces within {shares}")


def _hearts(names: Sequence[str], kind: str = "") -> str:
    return f"{len(names)} {kind}{'heart' if len(names) == 1 else 'hearts'}"


def _calibrated_text(factors: Mapping[str, Any] | str) -> str:
    if isinstance(factors, str):
        return factors
    return "calibrated on few hearts, unreliable" if factors["few"] else "calibrated"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
