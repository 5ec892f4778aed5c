"""The results of ``vecsetx reconstruct`` on the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from vecsetx.evaluation.refinement_gain import refinement_gain
from vecsetx.terminal.progress_bars import console

__all__ = ["print_files", "print_reconstruction"]

_LOST_DICE = 0.3
"""An observed structure with a smaller Dice is not there, or elsewhere."""

_ALL_SHARE = 0.995
"""A structure with a larger share of observed surface is shown as observed."""


def print_reconstruction(name: str, summary: Mapping[str, Any]) -> None:
    """Print the table of one heart.

    Args:
        name: The heart's name.
        summary: As in ``summary.json``.
    """
    seconds = summary["seconds"]
    stages = ", ".join(f"{stage} {took:.1f}" for stage, took in seconds.items())
    head = f"\n[bold]{escape(name)}[/] {sum(seconds.values()):.1f} s ({stages})"
    console.print(head, soft_wrap=True)
    structures = summary["structures"]
    compared = any(found["agreement"] for found in structures.values())
    removed = any(found["specks"] for found in structures.values())
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Structure", no_wrap=True)
    headings = ["ml", *(["Input ml", "Change", "Dice"] if compared else []), "Pieces"]
    for heading in [*headings, *(["Specks"] if removed else [])]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Source", no_wrap=True)
    for structure, found in structures.items():
        agreement, specks = found["agreement"], found["specks"]
        table.add_row(
            structure,
            f"{found['volume_ml']:.1f}",
            *(_compared(agreement) if compared else ()),
            str(found["pieces"]),
            *([str(specks["number"]) if specks else ""] if removed else []),
            _source(found),
            style="yellow" if found["doubtful"] or (agreement and _differs(found)) else "",
        )
    console.print(table)
    for line in _explained(structures, compared, removed):
        console.print(line)
    if refined := summary["provenance"]["refined"]:
        console.print(refinement_gain([refined]))


def print_files(files: Mapping[Path, Mapping[str, str]]) -> None:
    """Print which files were written, and what opens them.

    Args:
        files: Folder of a heart → name of a file → its purpose. Files of the same purpose share a
            line; several folders are listed as one, since they hold the same kinds of files.
    """
    names: dict[str, dict[str, None]] = {}  # purpose → names, in order, each once
    for found in files.values():
        for name, purpose in found.items():
            names.setdefault(purpose, {})[name] = None
    folders = list(files)
    more = "" if len(folders) == 1 else f" and {len(folders) - 1} more beside it"
    # Not wrapped, so that a path can be copied.
    console.print(f"\nwritten to {escape(str(folders[0]))}{more}:", soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for purpose, some in names.items():
        table.add_row(escape(", ".join(some)), escape(purpose))
    table.add_row("summary.json", "all figures of this table, and how they were made")
    console.print(table)


def _compared(agreement: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if agreement is None:
        return "", "", ""
    mark = " !" if agreement["volume_differs"] else ""
    change = f"{round(100 * agreement['volume_difference']):+d}%{mark}"  # never −0%
    return f"{agreement['input_ml']:.1f}", change, f"{agreement['dice']:.3f}"


def _source(found: Mapping[str, Any]) -> str:
    share = found["observed_share"]
    doubtful = ", doubtful" if found["doubtful"] else ""
    if not found["observed"]:
        return f"inferred{doubtful}"
    all_of_it = share is None or share >= _ALL_SHARE
    return ("observed" if all_of_it else f"{share:.0%} observed") + doubtful


def _explained(structures: Mapping[str, Any], compared: bool, removed: bool) -> list[str]:
    """Return the lines below the table."""
    lines = []
    if compared:
        lines.append("ml: of the mesh. Change of volume and Dice: voxels, against the input.")
    if far := [n for n, f in structures.items() if f["agreement"] and _differs(f)]:
        lines.append(f"[yellow]! over 10% off the input's volume: {', '.join(far)}[/]")
    lost = [n for n, f in structures.items() if f["agreement"] and _is_lost(f)]
    if lost:
        lines.append(
            f"[red]lost, though the input shows it (Dice below {_LOST_DICE}): {', '.join(lost)}[/]"
        )
    for name, found in structures.items():
        if found["doubtful"]:
            lines.append(f"[yellow]{name} is doubtful: {'; '.join(found['doubtful'])}[/]")
    if removed:
        ml = sum(found["specks"]["ml"] for found in structures.values() if found["specks"])
        lines.append(f"Specks: {ml:.2g} ml were removed (--keep-specks keeps them).")
    return lines


def _is_lost(found: Mapping[str, Any]) -> bool:
    return bool(found["observed"] and found["agreement"]["dice"] < _LOST_DICE)


def _differs(found: Mapping[str, Any]) -> bool:
    return bool(found["agreement"]["volume_differs"])
