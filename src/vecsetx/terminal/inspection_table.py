"""The report of ``vecsetx inspect`` on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from vecsetx.anatomy.label_names import NAMES_PREFIX
from vecsetx.evaluation.heart_remarks import as_sentence
from vecsetx.terminal.next_step import print_next
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, number, print_list, print_table

__all__ = ["print_inspection"]

_STYLES = {"ok": "green", "look": "yellow", "refused": "red"}


def print_inspection(entries: Sequence[Mapping[str, Any]], next_command: str) -> None:
    """Print a table per heart, its remarks, the number of hearts by status, and what to type next.

    Args:
        entries: From :func:`vecsetx.commands.inspect.inspect`.
        next_command: The command to type next, if no heart was refused.
    """
    for entry in entries:
        status = entry["status"]
        file = f"[bold]{escape(entry['file'])}[/]"
        # Not wrapped, so that a path can be copied.
        console.print(f"\n{file} [{_STYLES[status]}]{status}[/]", soft_wrap=True)
        if status == "refused":
            console.print(f"  {escape(entry['remarks'][0].removeprefix(entry['file'] + ': '))}")
            continue
        _print_structures(entry)
        print_list([as_sentence(remark) for remark in entry["remarks"]])
    counts = {status: sum(e["status"] == status for e in entries) for status in _STYLES}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    console.print(f"\n{counted(len(entries), 'heart')}: {said}")
    same = sum(entry["same_name"] for entry in entries)
    if same:
        who = "1 heart has another's name" if same == 1 else f"{same} hearts share their names"
        console.print(
            f"{who}, so prepare refuses them together: rename them first",
            style="red",
        )
    elif not counts["refused"]:
        if counts["look"]:
            console.print("look at the remarks above first", style="yellow")
        print_next(next_command)


def _head(entry: Mapping[str, Any]) -> str:
    own = "the file's own names, as " if entry["label_set"].startswith(NAMES_PREFIX) else ""
    parts = [entry["kind"], f"{own}label set {entry['label_set']}"]
    if entry["axes"]:
        spacing = " × ".join(f"{mm:g}" for mm in entry["spacing_mm"])
        shape = " × ".join(map(str, entry["shape"]))
        parts += [f"axes {entry['axes']}", f"{shape} voxels of {spacing} mm"]
    if entry["extent_mm"]:
        parts.append(" × ".join(f"{mm:.0f}" for mm in entry["extent_mm"]) + " mm")
    if entry["form_codes"]:
        parts.append("sform {}, qform {}".format(*entry["form_codes"]))
    return ", ".join(parts)


def _print_structures(entry: Mapping[str, Any]) -> None:
    columns = [
        Column("Structure", is_text=True),
        Column("Id", "its number in the file"),
        Column("ml", "volume inside its surface"),
        Column("Points", "on its surface"),
        Column("Pieces", "connected parts, without specks", leaves=1),
        Column("At the scan's edge", is_text=True),
        Column("The file says", "its name there", leaves=2, is_text=True),
    ]
    named = entry["named"] or {}
    rows = [
        [
            name,
            _given(found["id"], "d"),
            _given(found["ml"], ".1f"),
            _given(found["points"], ",d"),
            _given(found["pieces"], "d"),
            "cut" if found["cut"] else "",
            named.get(str(found["id"]), ""),
        ]
        for name, found in entry["structures"].items()
    ]
    print_table(_head(entry), columns, rows, also_in="--json FILE")


def _given(value: int | float | None, form: str) -> str:
    """Format a number; empty if the file does not tell it, so that an untold column is left out."""
    return "" if value is None else number(value, form)
