"""The report of ``vecsetx info`` on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from vecsetx.terminal.next_step import print_next
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import counted

__all__ = ["print_info"]


def print_info(entry: Mapping[str, Any]) -> None:
    """Print a line per property, and the command to type next.

    Args:
        entry: The result of :func:`vecsetx.commands.info.describe`.
    """
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "kind": entry["kind"],
        "written": entry["written"] + (f", by {entry['version']}" if entry["version"] else ""),
        "label set": entry["label_set"],
        "structures": ", ".join(entry["structures"]),
        "size": ", ".join(_counted(*size) for size in entry["size"].items()),
        "training": _training_text(entry["training"]),
        "calibration": _calibration_text(entry["calibration"], entry["kind"]),
        **entry["facts"],
    }
    for name, value in rows.items():
        if value:
            table.add_row(Text(_plain(name)), Text(_plain(value)))  # no markup of a file
    console.print(_plain(entry["path"]), markup=False, soft_wrap=True, style="bold")
    console.print(table)
    if entry["next"]:
        print_next(_plain(entry["next"]))


def _counted(what: str, count: int) -> str:
    return f"{count:,} {what.removesuffix('s') if count == 1 else what}"


def _training_text(training: Mapping[str, Any] | None) -> str:
    if training is None:
        return ""
    of = f" of {training['of']}" if training["of"] else ""
    state = "finished" if training["finished"] else "not finished"
    best = training["best_grid_dice"]
    seen = f"; best validation: Dice {best:.3f} at step {training['best_step']}" if best else ""
    return f"{training['steps']}{of} steps, {state}{seen}"


def _calibration_text(calibration: Mapping[str, Any] | None, kind: str) -> str:
    if calibration is None:
        return "none" if kind in ("run", "model") else ""
    hearts = calibration["hearts"]
    whose = f"from {counted(hearts, 'heart')}, {calibration['date']}"
    return whose + (" (few: not reliable)" if calibration["few"] else "")


def _plain(text: Any) -> str:
    """Replace control characters, by which a file could steer the terminal."""
    return "".join(sign if sign.isprintable() else "�" for sign in str(text))
