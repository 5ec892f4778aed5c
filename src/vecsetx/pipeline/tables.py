"""Tables on the terminal."""

from typing import Any

from rich.table import Table

from vecsetx.pipeline.progress import console


def print_scores(scores: dict[str, Any]) -> None:
    """A row per structure: Dice (mean ± standard deviation, median, hearts) and IoU."""
    table = Table(title="Scores on the voxel grid of the label maps")
    table.add_column("Structure")
    for heading in ("Dice", "± s.d.", "median", "IoU", "hearts"):
        table.add_column(heading, justify="right")
    for name, measures in scores["summary"]["structures"].items():
        dice, iou = measures["dice"], measures["iou"]
        values = (dice["mean"], dice["std"], dice["median"], iou["mean"])
        table.add_row(name, *map(_three_digits, values), str(dice["n"]))
    mean = scores["summary"]["mean"]
    table.add_section()
    table.add_row(
        "mean", _three_digits(mean["dice"]), "", "", _three_digits(mean["iou"]), "", style="bold"
    )
    console.print(table)


def print_check(result: dict[str, Any]) -> None:
    """A row per heart that is not fit, or one line if all are."""
    hearts = result["hearts"]
    failed = [heart for heart in hearts if not heart["passed"]]
    if not failed:
        console.print(f"[green]all {len(hearts)} hearts are fit to learn from[/]")
        return
    table = Table(title=f"{len(failed)} of {len(hearts)} hearts are not fit to learn from")
    table.add_column("Heart")
    table.add_column("Problems")
    for heart in failed:
        table.add_row(heart["name"], "\n".join(heart["problems"]))
    console.print(table)


def _three_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
