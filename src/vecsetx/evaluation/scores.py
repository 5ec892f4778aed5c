"""Scores of many hearts: a row per heart and structure, and what they come to."""

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from vecsetx.errors import InputError
from vecsetx.evaluation.overlap import overlaps
from vecsetx.files import write_json, written_whole

MEASURES = ("dice", "iou")


@dataclass(frozen=True, slots=True)
class Score:
    """One structure of one heart.

    Attributes:
        heart: The heart's name.
        structure: The structure's name.
        dice: Dice on the voxel grid, 1 is perfect; None where truth and prediction both lack the
            structure.
        iou: Intersection over union, likewise.
    """

    heart: str
    structure: str
    dice: float | None
    iou: float | None


def score_heart(
    heart: str,
    truth: Integer[np.ndarray, "..."],
    prediction: Integer[np.ndarray, "..."],
    structures: Sequence[str],
) -> list[Score]:
    """Score every structure of one heart.

    Args:
        heart: Its name.
        truth: Labels 1…K in the order of ``structures``.
        prediction: The same, on the same grid.
        structures: Names of the K structures.

    Returns:
        A row per structure.
    """
    return [
        Score(heart, name, overlap.dice, overlap.iou)
        for name, overlap in zip(
            structures, overlaps(truth, prediction, len(structures)), strict=True
        )
    ]


def summarize(rows: Iterable[Score]) -> dict[str, Any]:
    """What the rows come to, as plain data.

    Args:
        rows: Scores of any number of hearts.

    Returns:
        ``summary.structures.<name>.<measure>`` holds mean, std (of the population), median and n
        over the hearts that could be scored; ``summary.mean.<measure>`` is the mean over the
        structures of their means, so that every structure weighs the same;
        ``hearts.<heart>.<name>.<measure>`` is the single score. None stands where there was
        nothing to score.

    Raises:
        InputError: A heart has two rows for one structure (two hearts of one name).
    """
    rows = list(rows)
    hearts: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in rows:
        of_heart = hearts.setdefault(row.heart, {})
        if row.structure in of_heart:
            raise InputError(
                f"{row.heart}: {row.structure} is scored twice; every heart needs its own name"
            )
        of_heart[row.structure] = {measure: getattr(row, measure) for measure in MEASURES}
    structures = {
        name: {
            measure: _statistics(getattr(row, measure) for row in rows if row.structure == name)
            for measure in MEASURES
        }
        for name in dict.fromkeys(row.structure for row in rows)
    }
    mean = {
        measure: _statistics(entry[measure]["mean"] for entry in structures.values())["mean"]
        for measure in MEASURES
    }
    return {"summary": {"mean": mean, "structures": structures}, "hearts": hearts}


def write_scores(out: Path, rows: Iterable[Score], provenance: dict[str, Any]) -> None:
    """Write ``scores.json`` (summary, hearts, provenance) and ``scores.csv`` (the rows).

    Args:
        out: Folder to write to.
        rows: Scores of any number of hearts.
        provenance: Where the figures come from, as plain data: the model, the data, the source of
            the truth and the grid that was scored.
    """
    rows = list(rows)
    write_json(out / "scores.json", {**summarize(rows), "provenance": provenance})
    columns = [field.name for field in fields(Score)]
    with (
        written_whole(out / "scores.csv") as unfinished,
        open(unfinished, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([getattr(row, column) for column in columns] for row in rows)


def _statistics(scores: Iterable[float | None]) -> dict[str, Any]:
    scored = [score for score in scores if score is not None]
    if not scored:
        return {"mean": None, "std": None, "median": None, "n": 0}
    return {
        "mean": statistics.fmean(scored),
        "std": statistics.pstdev(scored),
        "median": statistics.median(scored),
        "n": len(scored),
    }
