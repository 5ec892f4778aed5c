"""The results of ``vecsetx reconstruct`` on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from vecsetx.evaluation.heart_remarks import heart_remarks
from vecsetx.reconstruction.summary import change_text, table_ml
from vecsetx.terminal.progress_bars import console, warn
from vecsetx.terminal.table import Column, counted, print_list, print_table

__all__ = ["print_files", "print_reconstruction"]

_STYLES = {"fault": "red", "look": "yellow", "note": ""}

_NAMED = 3
"""Number of hearts that are named."""

_ALL_SHARE = 0.995
"""A structure with a larger share of observed surface is shown as observed."""

_VOXELS = (
    Column("ml", "volume of its voxels on the input's grid"),
    Column("Input ml", "that of the input"),
    Column("Change", "of ml against Input ml"),
    Column("Dice", "of the same voxels", leaves=1),
    Column("Mesh ml", "volume inside its mesh, also beyond that grid", leaves=2),
)
"""Columns of a heart that is compared with its input."""


def print_reconstruction(name: str, summary: Mapping[str, Any]) -> None:
    """Print the table of one heart, and the remarks on it.

    Args:
        name: The heart's name.
        summary: As in ``summary.json``.
    """
    seconds, structures = summary["seconds"], summary["structures"]
    stages = ", ".join(f"{stage} {took:.1f}" for stage, took in seconds.items())
    compared = any(found["agreement"] for found in structures.values())
    columns = [
        Column("Structure", is_text=True),
        *(_VOXELS if compared else [Column("ml", "volume inside its mesh")]),
        Column("Pieces", "of the mesh, with small ones that the input shows", leaves=4),
        Column("Specks", "pieces that were removed (--keep-specks keeps them)", leaves=3),
        Column("Source", is_text=True),
    ]
    rows = [
        [
            structure,
            *_volumes(found, compared),
            str(found["pieces"]),
            str(found["specks"]["number"]) if found["specks"] else "",
            _source(found),
        ]
        for structure, found in structures.items()
    ]
    styles = [
        "yellow" if found["doubtful"] or (found["agreement"] and _differs(found)) else ""
        for found in structures.values()
    ]
    title = f"{name} {sum(seconds.values()):.1f} s ({stages})"
    print_table(title, columns, rows, also_in="heart.html", styles=styles)
    for text, kind in heart_remarks(summary):
        print_list([text], _STYLES[kind])


def print_files(files: Mapping[Path, Mapping[str, str]]) -> None:
    """Print which files were written, and what opens them, unless only results are shown.

    Args:
        files: Folder of a heart → name of a file → its purpose. Files of the same purpose share a
            line; several folders are listed as one, since they hold the same kinds of files.
    """
    if console.shown != "all":
        return
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


def print_others(out: Path, hearts: Sequence[str]) -> None:
    """Say which hearts in a folder are not of this run, if there are any.

    Args:
        out: The folder for results.
        hearts: Names of the other hearts.
    """
    if hearts:
        named = ", ".join(hearts[:_NAMED]) + (", …" if hearts[_NAMED:] else "")
        who = f"{counted(len(hearts), 'heart')} of earlier runs ({named})"
        warn(f"{out} also holds {who}, which this run left as they were")


def _volumes(found: Mapping[str, Any], compared: bool) -> list[str]:
    """Return the cells of volumes and overlap: those of voxels if the input has some, too."""
    ml = f"{table_ml(found, compared):.1f}"
    if not compared:
        return [ml]
    agreement, mesh_ml = found["agreement"], f"{found['volume_ml']:.1f}"
    if agreement is None:
        return [ml, "", "", "", mesh_ml]
    mark = " !" if agreement["volume_differs"] else ""
    change = change_text(agreement["volume_difference"]) + mark
    return [ml, f"{agreement['input_ml']:.1f}", change, f"{agreement['dice']:.3f}", mesh_ml]


def _source(found: Mapping[str, Any]) -> str:
    share = found["observed_share"]
    doubtful = ", doubtful" if found["doubtful"] else ""
    if not found["observed"]:
        return f"inferred{doubtful}"
    all_of_it = share is None or share >= _ALL_SHARE
    return ("observed" if all_of_it else f"{share:.0%} observed") + doubtful


def _differs(found: Mapping[str, Any]) -> bool:
    return bool(found["agreement"]["volume_differs"])
