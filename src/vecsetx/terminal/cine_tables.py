"""A heart's cycle on the terminal."""

from collections.abc import Mapping
from typing import Any

from vecsetx.terminal.progress_bars import console, warn
from vecsetx.terminal.table import Column, print_list, print_table

__all__ = ["print_cycle"]

_NUMBERS = {
    "end_diastolic_ml": Column("end diastole ml"),
    "end_systolic_ml": Column("end systole ml"),
    "stroke_ml": Column("stroke ml"),
    "ejection_fraction_percent": Column("ejection fraction %"),
}


def print_cycle(name: str, summary: Mapping[str, Any]) -> None:
    """Print what the ventricles eject, and the remarks on the cycle.

    Args:
        name: The heart's name.
        summary: As in ``summary.json``.
    """
    cycle = summary["cycle"]
    rows, unknown = [], []
    for chamber in ("LV", "RV"):
        found = [cycle["numbers"][f"{chamber}_{number}"] for number in _NUMBERS]
        rows.append([chamber, *(_text(one["value"]) for one in found)])
        if found[0]["value"] is None:
            unknown.append(f"{chamber} unknown: {found[0]['reason']}")
    columns = [Column("ventricle", is_text=True), *_NUMBERS.values()]
    title = f"{name}, {len(cycle['reconstructed'])} of {cycle['frames']} frames"
    print_table(title, columns, rows, also_in="cycle.csv")
    if cycle["end_diastole"]:
        console.print(
            f"end diastole: frame {_moment(cycle, 'end_diastole')}; end systole: frame "
            f"{_moment(cycle, 'end_systole')}",
            markup=False,
        )
    print_list(unknown)
    left_out = [f"frame {number} was left out: {why}" for number, why in cycle["left_out"].items()]
    warnings = [*cycle["doubts"], *left_out]
    for sentence in warnings:
        warn(sentence)
    print_list([remark for remark in summary["remarks"] if remark not in warnings])


def _moment(cycle: Mapping[str, Any], name: str) -> str:
    number, step_ms = cycle[name], cycle["step_ms"]
    return str(number) if step_ms is None else f"{number} ({(number - 1) * step_ms:.0f} ms)"


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
