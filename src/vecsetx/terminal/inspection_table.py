"""The report of ``vecsetx inspect`` on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from vecsetx.terminal.progress_bars import console

__all__ = ["print_inspection"]

_STYLES = {"ok": "green", "warning": "yellow", "refused": "red"}


def print_inspection(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print a table per heart, its remarks, and the number of hearts by status.

    Args:
        entries: From :func:`vecsetx.commands.inspect.inspect`.
    """
    for entry in entries:
        status = entry["status"]
        file = f"[bold]{escape(entry['file'])}[/]"
        # Not wrapped, so that a path can be copied.
        console.print(f"\n{file} [{_STYLES[status]}]{status}[/]", soft_wrap=True)
        if status == "refused":
            console.print(f"  {escape(entry['remarks'][0].removeprefix(entry['file'] + ': '))}")
            continue
        console.print(f"  {escape(_head(entry))}")
        console.print(_table(entry))
        for remark in entry["remarks"]:
            console.print(f"  • {escape(remark)}")
    counts = {status: sum(e["status"] == status for e in entries) for status in _STYLES}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    console.print(f"\n{len(entries)} {'heart' if len(entries) == 1 else 'hearts'}: {said}")


def _head(entry: Mapping[str, Any]) -> str:
    parts = [entry["kind"], f"label set {entry['label_set']}"]
    if entry["axes"]:
        spacing = " × ".join(f"{mm:g}" for mm in entry["spacing_mm"])
        shape = " × ".join(map(str, entry["shape"]))
        parts += [f"axes {entry['axes']}", f"{shape} voxels of {spacing} mm"]
    if entry["form_codes"]:
        parts.append("sform {}, qform {}".format(*entry["form_codes"]))
    return ", ".join(parts)


def _table(entry: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Structure", no_wrap=True)
    for heading in ("Id", "ml", "Components"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("At the scan's edge", "The file says"):
        table.add_column(heading)
    named = entry["named"] or {}
    for name, found in entry["structures"].items():
        table.add_row(
            name,
            _number(found["id"]),
            "" if found["ml"] is None else f"{found['ml']:.1f}",
            _number(found["components"]),
            "cut" if found["cut"] else "",
            escape(named.get(str(found["id"]), "")),
        )
    return table


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
