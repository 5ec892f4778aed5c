"""Rank hearts: by Dice, to choose which to show, and by doubt."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np

from vecsetx.report.figures import is_number


def mean_dice(found: Mapping[str, Mapping[str, Any]]) -> float | None:
    """A heart's mean Dice over its structures; None if none was scored.

    Args:
        found: Structure → measures, as under ``hearts`` in ``scores.json``.
    """
    dice = [scores["dice"] for scores in found.values() if is_number(scores["dice"])]
    return fmean(dice) if dice else None


def chosen(hearts: Mapping[str, Mapping[str, Mapping[str, Any]]], most: int) -> list[str]:
    """Choose hearts evenly from the worst to the best mean Dice, including the median.

    Args:
        hearts: As in ``scores.json``. Hearts without any Dice are left out.
        most: Maximum number of hearts, at least 3.

    Returns:
        Names, worst first.
    """
    ranked = _ranked(hearts)
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int)
    if len(places):  # rounding may miss the median
        places[(len(places) - 1) // 2] = _median(ranked)
    return [ranked[place] for place in places]


def ranks(hearts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Find the best, median and worst heart by mean Dice.

    Args:
        hearts: As in ``scores.json``.

    Returns:
        Heart → ``best``, ``median`` or ``worst``; empty for fewer than two scored hearts.
    """
    ranked = _ranked(hearts)
    if len(ranked) < 2:
        return {}
    named = {ranked[-1]: "best", ranked[_median(ranked)]: "median"}
    return named | {ranked[0]: "worst"}


def _ranked(hearts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    means = {name: mean_dice(found) for name, found in hearts.items()}
    known = [(mean, name) for name, mean in means.items() if mean is not None]
    return [name for _, name in sorted(known)]


def _median(ranked: list[str]) -> int:
    return (len(ranked) - 1) // 2


def doubtful_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort hearts: unfit ones first, then those to look at, then the most unusual.

    Args:
        rows: ``hearts`` as in ``check.json``.
    """

    def doubt(row: dict[str, Any]) -> tuple[int, float, int]:
        scores = [
            abs(found["volume_z"])
            for found in row["structures"].values()
            if found["volume_z"] is not None
        ]
        rank = ("unfit", "look", "fit").index(row["state"])
        return rank, -max(scores, default=0.0), -len(row["doubts"] + row["remarks"])

    return sorted(rows, key=doubt)
