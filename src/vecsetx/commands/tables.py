"""Tables on the terminal."""

from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from vecsetx.commands.check import doubtful_first
from vecsetx.commands.progress import console
from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.evaluation.score_measures import MEASURES

_MOST_ROWS = 20
"""Hearts in a table; the pages have them all."""


def print_scores(scores: dict[str, Any]) -> None:
    """A row per structure: Dice with its interval, surface distances, centrelines, misses."""
    table = Table(title="Scores on the voxel grid of the label maps")
    table.add_column("Structure", no_wrap=True)
    shown = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
    for heading in ("Dice", "interval", *(MEASURES[name].title for name in shown[1:])):
        table.add_column(heading, justify="right")
    for heading in ("hearts", "missed"):
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


def print_check(result: dict[str, Any]) -> None:
    """What a check found: a row per structure, hearts with remarks, and those that are not fit."""
    hearts, summary = result["hearts"], result["summary"]
    _print_structures(result)
    remarked = [h for h in doubtful_first(hearts) if h["passed"] and h["remarks"]]
    _print_findings(f"{len(remarked)} hearts are worth a look", remarked, "remarks", "yellow")
    if summary["not_done"]:
        console.print(f"[yellow]{summary['not_done']} hearts could not be checked in full[/]")
    failed = [heart for heart in hearts if not heart["passed"]]
    if failed:
        title = f"{len(failed)} of {len(hearts)} hearts are not fit to learn from"
        _print_findings(title, failed, "problems", "red")
    else:
        console.print(f"[green]all {len(hearts)} hearts are fit to learn from[/]")


def print_heart_check(result: dict[str, Any]) -> None:
    """What the check of one heart found: a row per structure, problems and remarks."""
    (heart,) = result["hearts"]
    title = f"{escape(heart['name'])} ({heart['split']}, fold {heart['fold']})"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Structure", no_wrap=True)
    table.add_column("State")
    headings = ("mm³", "z", "pieces", "2V/A", "surface", "near", "volume", "slope", "agreement")
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
        console.print(f"[green]{escape(heart['name'])} is fit to learn from[/]")


def _print_structures(result: dict[str, Any]) -> None:
    table = Table(title="Structures (of the middle heart)", box=SIMPLE_HEAD)
    table.add_column("Structure", no_wrap=True)
    headings = ("whole", "cut", "absent", "not annotated", "ml", "2V/A mm", "slope", "agreement")
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


def print_calibration(found: dict[str, Any]) -> None:
    """A row per structure, and what the factors bring over all of them.

    Args:
        found: As in ``calibration.json``.
    """
    table = Table(title="Inferred surfaces of the hearts that the factors are tried on")
    table.add_column("Structure", no_wrap=True)
    headings = ("factor", "within 2 s.d.", "as drawn", "mean s.d. mm", "RMS error mm")
    for heading in (*headings, "hearts", "missed"):
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
        f"{multiple} s.d. {_percent(before['within'][row])} → {_percent(after['within'][row])}, "
        f"should be {_percent(EXPECTED[row])}"
        for row, multiple in enumerate(MULTIPLES)
    )
    console.print(
        f"factors from {len(found['hearts_fitted'])} hearts; in brackets that over all structures, "
        f"{found['factor']:.3f}, of those seen too seldom. On {len(found['hearts_tested'])} other "
        f"hearts: {shares}"
    )


def print_uncertainty(told: dict[str, Any]) -> None:
    """One line: how often surfaces lie within their standard deviations.

    Args:
        told: ``calibration`` as in ``scores.json``.
    """
    kind = "uncalibrated" if told["factors"] == "uncalibrated" else "calibrated"
    if told["all"] is None:
        console.print("how sure: nothing of what was hidden was reconstructed")
        return
    shares = "; ".join(
        f"{multiple} s.d. {_percent(share)}, should be {_percent(expected)}"
        for multiple, share, expected in zip(
            MULTIPLES, told["all"]["within"], EXPECTED, strict=True
        )
    )
    console.print(f"how sure ({kind}): inferred surfaces within {shares}")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
