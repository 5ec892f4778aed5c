"""The results of ``vecsetx reconstruct`` on the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from vecsetx.evaluation.refinement_gain import refinement_of
from vecsetx.reconstruction.summary import change_text, table_ml
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, print_list, print_table

__all__ = ["print_files", "print_reconstruction"]

_LOST_DICE = 0.3
"""An observed structure with a smaller Dice is not there, or elsewhere."""

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
    for line, style in _explained(structures):
        print_list([line], style)
    provenance = summary["provenance"]
    print_list([refinement_of(provenance)])
    print_list(provenance["remarks"], "yellow")


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


def _explained(structures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines below the table, each with its style."""
    lines = []
    if far := [n for n, f in structures.items() if f["agreement"] and _differs(f)]:
        lines.append((f"! over 10% off the input's volume: {', '.join(far)}", "yellow"))
    if lost := [n for n, f in structures.items() if f["agreement"] and _is_lost(f)]:
        missing = f"lost, though the input shows it (Dice below {_LOST_DICE}): {', '.join(lost)}"
        lines.append((missing, "red"))
    for name, found in structures.items():
        if found["doubtful"]:
            lines.append((f"{name} is doubtful: {'; '.join(found['doubtful'])}", "yellow"))
    specks = [found["specks"]["ml"] for found in structures.values() if found["specks"]]
    if specks:
        lines.append((f"Specks of {sum(specks):.2g} ml in all were removed.", ""))
    return lines


def _is_lost(found: Mapping[str, Any]) -> bool:
    return bool(found["observed"] and found["agreement"]["dice"] < _LOST_DICE)


def _differs(found: Mapping[str, Any]) -> bool:
    return bool(found["agreement"]["volume_differs"])
