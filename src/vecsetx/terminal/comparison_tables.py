"""The result of ``vecsetx compare`` on the terminal."""

from collections.abc import Mapping
from typing import Any

from vecsetx.evaluation.bootstrap import MIN_HEARTS
from vecsetx.evaluation.comparison import MIN_PAIRS, left_out
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, print_table

__all__ = ["print_comparison"]

_SHOWN = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
"""Measures on the terminal; the files contain all of them."""

_NUMBERS = (
    Column("A"),
    Column("B"),
    Column("B − A", "mean over the hearts"),
    Column("Range", "of the hearts' differences", leaves=2),
    Column("Interval", "95% bootstrap interval of B − A", leaves=1),
    Column("p", "Wilcoxon signed-rank test"),
    Column("Hearts"),
)


def print_comparison(comparison: Mapping[str, Any], everything: bool = False) -> None:
    """Print the means over structures, a row per measure; and a table per measure on request.

    Args:
        comparison: As in ``compare.json``.
        everything: Whether to print a table per measure, with a row per structure, too.
    """
    for side, provenance in comparison["models"].items():
        model = str(provenance["model"])
        console.print(f"{side.upper()}: {model}", markup=False, soft_wrap=True)
    for name, values in comparison.get("options", {}).items():
        one, other = ("the usual" if value is None else value for value in values)
        line = f"they differ in {name}, too: {one} in A, {other} in B"
        console.print(line, markup=False, soft_wrap=True)
    for line in left_out(comparison):
        console.print(line, markup=False, soft_wrap=True)
    parts = {"": comparison}
    if "inferred" in comparison:
        parts[", inferred"] = comparison["inferred"]
    _print_means(parts)
    if everything:
        for of, part in parts.items():
            for measure in _measures(part):
                _print_measure(part, measure, of)
    _print_too_few(len(comparison["hearts"]))


def _print_means(parts: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [
        [MEASURES[name].title + of, _better(name), *_cells(part["mean"][name], "p")]
        for of, part in parts.items()
        for name in _measures(part)
    ]
    columns = [Column("Measure", is_text=True), Column("Better", is_text=True, leaves=3), *_NUMBERS]
    print_table("Means over structures", columns, rows, also_in="comparison.html")


def _print_measure(part: Mapping[str, Any], measure: str, of: str) -> None:
    rows = [
        [name, *_cells(found[measure], "p_holm")]
        for name, found in part["structures"].items()
        if measure in found
    ]
    total = ["mean", *_cells(part["mean"][measure], "p")]
    title = f"{MEASURES[measure].title}{of}, {_better(measure)} is better; p of structures: Holm"
    columns = [Column("Structure", is_text=True), *_NUMBERS]
    print_table(title, columns, rows, [total], also_in="comparison.html")


def _measures(part: Mapping[str, Any]) -> list[str]:
    return [name for name in _SHOWN if part["mean"].get(name)]


def _better(measure: str) -> str:
    return "higher" if MEASURES[measure].higher_is_better else "lower"


def _cells(found: Mapping[str, Any], p: str) -> list[str]:
    return [
        *(f"{found[side]:.3f}" for side in ("a", "b")),
        f"{found['difference']:+.3f}",
        _ends(found["range"] if found["n"] > 1 else None),
        _ends(found["interval"]),
        _p(found[p]),
        str(found["n"]),
    ]


def _ends(ends: list[float] | None) -> str:
    return f"{ends[0]:+.3f} … {ends[1]:+.3f}" if ends else ""


def _p(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _print_too_few(hearts: int) -> None:
    """Say why there is no p or no interval."""
    if hearts < MIN_HEARTS:
        what = "a p value or an interval" if hearts < MIN_PAIRS else "an interval"
        least = f"{MIN_PAIRS} and {MIN_HEARTS}" if hearts < MIN_PAIRS else f"{MIN_HEARTS}"
        console.print(f"{counted(hearts, 'heart')}: too few for {what} (at least {least})")
