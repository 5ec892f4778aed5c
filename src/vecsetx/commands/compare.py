"""``vecsetx compare``: compare two models' scores of the same hearts, paired by heart."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.comparison import compare
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.files import write_json
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.remarks import print_remarks

__all__ = ["compare_scores", "print_comparison"]

_SHOWN = ("dice", "nsd", "assd_mm", "hd95_mm", "cldice")
"""Measures on the terminal; ``compare.json`` contains all of them."""


def compare_scores(a: Path, b: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    """Compare two evaluations, paired by heart; write ``compare.json`` into ``out``.

    Prints the remarks on the hearts.

    Args:
        a: Folder of one evaluation, or its ``scores.json``.
        b: Folder of the other one, or its ``scores.json``.
        out: Folder for the result.
        seed: Seed of the bootstrap.

    Returns:
        The result of :func:`~vecsetx.evaluation.comparison.compare`, and the provenance of both as
        ``models``.

    Raises:
        InputError: One of them cannot be read, or their hearts or truths differ.
    """
    of_a, of_b = _read(a), _read(b)
    models = {"a": of_a["provenance"], "b": of_b["provenance"]}
    comparison = {"models": models, **compare(of_a, of_b, Bootstrap(seed=seed))}
    write_json(out / "compare.json", comparison)
    print_remarks(_remarks(of_a, of_b))
    return comparison


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """Print a table per measure: means, difference with its interval, and p; bold if p < 0.05.

    If structures were hidden from both models, further tables compare only these.

    Args:
        comparison: The result of :func:`compare_scores`.
    """
    for side, provenance in comparison["models"].items():
        console.print(f"{side.upper()}: {escape(str(provenance['model']))}")
    for part, of in ((comparison, ""), (comparison.get("inferred"), " of inferred structures")):
        for measure in _SHOWN:
            if part and part["mean"].get(measure):
                console.print(_table(part, measure, of))
    level = comparison["bootstrap"]["level"]
    console.print(
        f"B − A: mean over {len(comparison['hearts'])} hearts with its {level:.0%} bootstrap "
        "interval; p: Wilcoxon signed-rank test, Holm-corrected for single structures; bold: "
        "p < 0.05"
    )


def _table(comparison: Mapping[str, Any], measure: str, of: str) -> Table:
    better = "higher" if MEASURES[measure].higher_is_better else "lower"
    table = Table(title=f"{MEASURES[measure].title}{of}, {better} is better")
    table.add_column("Structure")
    for heading in ("A", "B", "B − A", "Interval", "p", "Hearts"):
        table.add_column(heading, justify="right")
    for name, found in comparison["structures"].items():
        if measure in found:
            table.add_row(*_row(name, found[measure], found[measure]["p_holm"]))
    table.add_section()
    mean = comparison["mean"][measure]
    table.add_row(*_row("mean", mean, mean["p"]))
    return table


def _row(name: str, found: Mapping[str, Any], p: float) -> list[str]:
    low, high = found["interval"] or (None, None)
    interval = "–" if low is None else f"{low:+.3f} … {high:+.3f}"
    cells = [f"{found['a']:.3f}", f"{found['b']:.3f}", f"{found['difference']:+.3f}", interval]
    cells += ["< 0.001" if p < 0.001 else f"{p:.3f}", str(found["n"])]
    return [f"[bold]{cell}[/]" if p < 0.05 else cell for cell in (name, *cells)]


def _remarks(*evaluations: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the remarks on each heart, of several evaluations, each remark once."""
    found: dict[str, list[str]] = {}
    for scores in evaluations:
        for heart, remarks in scores.get("remarks", {}).items():
            found[heart] = list(dict.fromkeys([*found.get(heart, []), *remarks]))
    return found


def _read(path: Path) -> dict[str, Any]:
    file = path / "scores.json" if path.is_dir() else path
    try:
        scores = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{file}: cannot be read as scores ({error}); give the output folder of vecsetx "
            "evaluate, or its scores.json"
        ) from error
    if not isinstance(scores, dict) or not {"summary", "hearts", "provenance"} <= scores.keys():
        raise InputError(f"{file}: contains no scores; give a scores.json of vecsetx evaluate")
    if "scoring" not in scores:
        raise InputError(
            f"{file}: written by an older VecSetX, which scored only overlap; run vecsetx evaluate "
            "again"
        )
    return scores
