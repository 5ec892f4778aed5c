"""The result of ``vecsetx check`` on the terminal."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from vecsetx.names import natural_key
from vecsetx.report.ranking import doubtful_first
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, number, print_list, print_table

__all__ = ["print_check", "print_heart_check"]

_MOST_HEARTS = 20
"""Largest number of hearts that are listed; the page lists all of them."""

_STYLES = {"fit": "green", "look": "yellow", "unfit": "red"}

_STRUCTURE = Column("Structure", is_text=True)
_THICKNESS = Column(
    "2V/A (mm)", "twice the volume over the area, a wall's mean thickness", leaves=3
)
_AGREEMENT = Column(
    "Agreement", "share of its voxels' points that its distance puts inside it", leaves=2
)


def print_check(result: Mapping[str, Any], page: Path) -> None:
    """Print a row per structure, the hearts that are not plainly fit, and last the state.

    Args:
        result: As in ``check.json``.
        page: The page, which the last line names.
    """
    _print_structures(result)
    ranked = doubtful_first(result["hearts"])
    _print_remarks(ranked)
    for state in ("look", "unfit"):
        _print_hearts([heart for heart in ranked if heart["state"] == state], state)
    if left_out := result["left_out"]:
        verb = "is" if len(left_out) == 1 else "are"
        console.print(
            f"\n{counted(len(left_out), 'heart')} of the inputs {verb} not in the data set, until "
            "prepared again or removed from the inputs:",
            style="yellow",
        )
        print_list(list(left_out.values()), "yellow")
    count = result["summary"]["not_done"]
    if count:
        console.print(f"{counted(count, 'heart')} could not be checked in full", style="yellow")
    _print_state(result["state"], f"{_verdict(result['summary'])}; see {page}")


def print_heart_check(result: Mapping[str, Any], page: Path | None) -> None:
    """Print a row per structure of one heart, what was found, and last its state.

    Args:
        result: The result for this heart alone, otherwise as in ``check.json``.
        page: Its page, which the last line names; None if the heart has none.
    """
    (heart,) = result["hearts"]
    columns = [
        _STRUCTURE,
        Column("State", is_text=True),
        Column("ml", "volume"),
        Column("z", "robust z-score of the volume among the data set's hearts", leaves=1),
        Column("Pieces", leaves=4),
        _THICKNESS,
        Column("Surface", "points on it", leaves=7),
        Column("Near", "near points inside it", leaves=8),
        Column("Volume", "volume points inside it", leaves=9),
        Column("Slope", "change of its distance per mm away from it, ideally 1", leaves=5),
        _AGREEMENT,
    ]
    rows = [[name, found["state"], *_figures(found)] for name, found in heart["structures"].items()]
    if rows:
        fold = f", fold {heart['fold']}" if heart["fold"] >= 0 else ""  # test hearts are in none
        title = f"{heart['name']} ({heart['split']}{fold})"
        print_table(title, columns, rows, also_in=page.name if page else "")
    for kind, style in (
        ("remarks", ""),
        ("not_done", ""),
        ("doubts", "yellow"),
        ("problems", "red"),
    ):
        word = kind.replace("_", " ").removesuffix("s")
        print_list([f"{word}: {sentence}" for sentence in heart[kind]], style)
    verdict = {
        "fit": "is fit for training",
        "look": "is fit for training, but needs a look",
        "unfit": "is unfit for training",
    }[heart["state"]]
    _print_state(heart["state"], f"{heart['name']} {verdict}" + (f"; see {page}" if page else ""))


def _figures(found: Mapping[str, Any]) -> list[str]:
    points = found["points"] or {}
    return [
        number(found["volume_ml"], ".1f"),
        number(found["volume_z"], "+.1f"),
        number(found["pieces"], "d"),
        number(found["thickness_mm"], ".1f"),
        *(number(points.get(group), ",d") for group in ("surface", "near", "volume")),
        number(found["slope"], ".3f"),
        number(found["agreement"], ".1%"),
    ]


def _print_structures(result: Mapping[str, Any]) -> None:
    columns = [
        _STRUCTURE,
        *(Column(heading) for heading in ("Whole", "Cut", "Absent")),
        Column("Not annotated", leaves=1),
        Column("ml", "volume"),
        _THICKNESS,
        Column("Slope", "change of the distance per mm away from it, ideally 1", leaves=4),
        _AGREEMENT,
    ]
    rows = []
    for name in result["structures"]:
        found = [heart["structures"].get(name, {}) for heart in result["hearts"]]
        middle = {
            key: median(values) if (values := [f[key] for f in found if f.get(key)]) else None
            for key in ("volume_ml", "thickness_mm", "slope", "agreement")
        }
        rows.append(
            [
                name,
                *map(str, result["summary"]["states"][name].values()),
                number(middle["volume_ml"], ".1f"),
                number(middle["thickness_mm"], ".1f"),
                number(middle["slope"], ".2f"),
                number(middle["agreement"], ".1%"),
            ]
        )
    title = "Structures: number of hearts, and medians over the hearts"
    print_table(title, columns, rows, also_in="check.html")


def _print_remarks(hearts: list[dict[str, Any]]) -> None:
    """Say how many hearts have remarks that need no look; the page has them."""
    remarked = sum(bool(heart["remarks"]) for heart in hearts)
    if remarked:
        verb = "has" if remarked == 1 else "have"
        console.print(
            f"{counted(remarked, 'heart')} {verb} remarks that need no look: see check.html"
        )


def _print_hearts(hearts: list[dict[str, Any]], state: str) -> None:
    """List what was found in hearts that are to be looked at, or unfit: the worst, by name."""
    if not hearts:
        return
    verb = "needs" if len(hearts) == 1 else "need"
    what = f"{verb} a look" if state == "look" else ("is" if len(hearts) == 1 else "are") + " unfit"
    console.print(f"\n{counted(len(hearts), 'heart')} {what}:", style=_STYLES[state])
    for heart in sorted(hearts[:_MOST_HEARTS], key=lambda heart: natural_key(heart["name"])):
        console.print(heart["name"], style="bold", markup=False, soft_wrap=True)
        print_list(heart["problems"], "red")
        print_list(heart["doubts"], "yellow")
    if len(hearts) > _MOST_HEARTS:
        console.print(f"and {len(hearts) - _MOST_HEARTS} more: see check.html")


def _verdict(summary: Mapping[str, Any]) -> str:
    """Say how many hearts are fit, are to be looked at, and are unfit."""
    of = counted(summary["hearts"], "heart")
    if summary["fit"] == summary["hearts"]:
        whose = "the heart is" if summary["hearts"] == 1 else f"all {of} are"
        return f"{whose} fit for training"
    return f"{summary['fit']} fit, {summary['look']} to look at, {summary['unfit']} unfit, of {of}"


def _print_state(state: str, sentence: str) -> None:
    # Not wrapped, so that the path can be copied.
    console.print(f"{state}: {sentence}", style=_STYLES[state], markup=False, soft_wrap=True)
