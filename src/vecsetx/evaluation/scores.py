"""Scores of many hearts: one row per heart and structure, and their summary.

A structure in the model's input is observed; one that was hidden from the model is inferred. If a
heart is scored whole and again with a structure hidden, that structure has a row of each kind.
"""

import csv
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, Integer

from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap, mean_over_structures
from vecsetx.evaluation.overlap import State, overlaps
from vecsetx.evaluation.score_measures import MEASURES, Value
from vecsetx.files import write_json, written_whole
from vecsetx.plain_data import hash_of
from vecsetx.progress import counted_parts
from vecsetx.schemas import SCORES

PARTS = ("observed", "inferred")
"""Parts of the scores, if anything was hidden from the model."""

SCORES_HASH = "sha256"
"""Entry of ``scores.json``: the hash of all others."""

_OVERLAP = ("dice", "iou")


@dataclass(frozen=True, slots=True)
class Score:
    """The scores of one structure of one heart.

    Attributes:
        heart: The heart's name.
        structure: The structure's name.
        state: Where the structure exists: in the truth, the prediction, both or neither.
        values: Name of a measure (:data:`~vecsetx.evaluation.score_measures.MEASURES`) → value;
            None where there is nothing to score. Measures that were not computed are missing.
        observed: False if the structure was hidden from the model, which had to infer it.
    """

    heart: str
    structure: str
    state: State
    values: Mapping[str, Value]
    observed: bool = True

    @property
    def dice(self) -> Value:
        """Dice on the voxel grid, 1 is perfect; None where there is nothing to score."""
        return self.values["dice"]


def score_heart(
    heart: str,
    truth: Integer[np.ndarray, "..."],
    prediction: Integer[np.ndarray, "..."],
    structures: Sequence[str],
) -> list[Score]:
    """Score the overlap of every structure of one heart; fast enough for training.

    Args:
        heart: The heart's name.
        truth: Labels 1…K in the order of ``structures``, all of which it annotates.
        prediction: The same, on the same grid.
        structures: Names of the K structures.

    Returns:
        A row per structure.
    """
    found = overlaps(truth, prediction, len(structures))
    return [
        Score(heart, name, overlap.state, {"dice": overlap.dice, "iou": overlap.iou})
        for name, overlap in zip(structures, found, strict=True)
    ]


def summarize(rows: Iterable[Score], bootstrap: Bootstrap | None = None) -> dict[str, Any]:
    """Summarize the rows as plain data.

    Args:
        rows: Scores of any number of hearts.
        bootstrap: Settings of the means' confidence intervals; None for no intervals.

    Returns:
        ``summary.structures.<name>.<measure>`` holds mean, std (of the population), median, n,
        range (lowest and highest) and interval over the hearts with a score;
        ``summary.mean.<measure>`` is the mean over the structures' means, with equal weights, and
        ``summary.interval.<measure>`` its interval; ``summary.range.<measure>`` is the range of
        the hearts' own means over structures, and ``summary.n.<measure>`` the number of these
        hearts. Intervals are None for fewer than
        :data:`~vecsetx.evaluation.bootstrap.MIN_HEARTS` hearts. ``summary.states.<name>`` counts
        hearts by state; ``hearts.<heart>.<name>`` holds the state, whether the structure was
        observed, and its scores. None means that there was nothing to score. If a structure of a
        heart was scored both observed and inferred, these values are those of the observed one.

        If anything was hidden, ``observed`` and ``inferred`` each hold a summary of their rows
        alone, in the form of ``summary``, with their ``hearts``.

    Raises:
        InputError: A heart has two rows of one kind for a structure (two hearts have one name).
    """
    rows = list(rows)
    kinds = {part: [row for row in rows if row.observed == (part == "observed")] for part in PARTS}
    found = {part: _by_heart(of_part) for part, of_part in kinds.items()}
    # A structure that was scored both observed and inferred counts as observed.
    once = [
        row
        for row in rows
        if row.observed or row.structure not in found["observed"].get(row.heart, ())
    ]
    result: dict[str, Any] = {"summary": _summary(once, bootstrap), "hearts": _by_heart(once)}
    if kinds["inferred"]:
        for part in PARTS:
            result[part] = {**_summary(kinds[part], bootstrap), "hearts": found[part]}
    return result


def _by_heart(rows: Iterable[Score]) -> dict[str, dict[str, dict[str, Any]]]:
    hearts: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        of_heart = hearts.setdefault(row.heart, {})
        if row.structure in of_heart:
            raise InputError(
                f"{row.heart}: {row.structure} is scored twice; every heart needs its own name"
            )
        of_heart[row.structure] = {"state": row.state, "observed": row.observed, **row.values}
    return hearts


def _summary(rows: Sequence[Score], bootstrap: Bootstrap | None) -> dict[str, Any]:
    """Summarize rows, at most one per heart and structure."""
    hearts = _by_heart(rows)
    names = list(dict.fromkeys(row.structure for row in rows))
    structures: dict[str, dict[str, Any]] = {name: {} for name in names}
    mean: dict[str, float | None] = {}
    interval: dict[str, list[float] | None] = {}
    of_hearts: dict[str, list[float]] = {}
    for measure in counted_parts(_measured(rows), "measure"):
        values = values_of(hearts, names, measure)
        for name, column in zip(names, values.T, strict=True):
            if any(measure in found.get(name, ()) for found in hearts.values()):
                structures[name][measure] = _statistics(column, bootstrap)
        # Structures have equal weight, however many hearts contain them.
        means = [found[measure]["mean"] for found in structures.values() if measure in found]
        mean[measure] = _mean([value for value in means if value is not None])
        of_hearts[measure] = [mean_over_structures(row[None]) for row in values if _known(row)]
        if bootstrap:
            interval[measure] = bootstrap.interval(values)
    return {
        "mean": mean,
        "range": {measure: _range(found) for measure, found in of_hearts.items()},
        "n": {measure: len(found) for measure, found in of_hearts.items()},
        **({"interval": interval} if bootstrap else {}),
        "structures": structures,
        "states": {
            name: _states(row.state for row in rows if row.structure == name) for name in names
        },
    }


def values_of(
    hearts: Mapping[str, Mapping[str, Mapping[str, Any]]], structures: Sequence[str], measure: str
) -> Float[np.ndarray, "hearts structures"]:
    """Return one measure of all hearts and structures, NaN where there is no value.

    Args:
        hearts: As in ``scores.json``.
        structures: Names of the structures.
        measure: The measure's name.
    """
    values = [
        [found.get(name, {}).get(measure) for name in structures] for found in hearts.values()
    ]
    return np.array(values, dtype=np.float64).reshape(len(hearts), len(structures))


def write_scores(out: Path, rows: Sequence[Score], scores: Mapping[str, Any]) -> None:
    """Write ``scores.json`` and ``scores.csv``.

    Args:
        out: Folder to write to.
        rows: Rows of the table.
        scores: Content of the JSON but its schema and hash: that of :func:`summarize`, with
            ``scoring`` (the settings) and ``provenance`` (the model, the data, the source of the
            truth and the scored grid).
    """
    content = {"schema": SCORES, **scores}
    write_json(out / "scores.json", {**content, SCORES_HASH: hash_of(content, SCORES_HASH)})
    measured = _measured(rows)
    with (
        written_whole(out / "scores.csv") as unfinished,
        open(unfinished, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["heart", "structure", "state", "observed", *measured])
        for row in rows:
            values = [row.values.get(measure) for measure in measured]
            observed = str(row.observed).lower()
            table.writerow([row.heart, row.structure, row.state, observed, *values])


def _measured(rows: Sequence[Score]) -> list[str]:
    """Return the measures in the rows, in the order of columns; always includes the overlap."""
    found = {measure for row in rows for measure in row.values}.union(_OVERLAP)
    return [measure for measure in MEASURES if measure in found]


def _states(states: Iterable[State]) -> dict[str, int]:
    counts = Counter(states)
    return {state: counts[state] for state in get_args(State)}


def _statistics(
    column: Float[np.ndarray, " hearts"], bootstrap: Bootstrap | None
) -> dict[str, Any]:
    scored: list[float] = column[~np.isnan(column)].tolist()
    found: dict[str, Any] = {
        "mean": _mean(scored),
        "std": statistics.pstdev(scored) if scored else None,
        "median": statistics.median(scored) if scored else None,
        "n": len(scored),
        "range": _range(scored),
    }
    if bootstrap:
        found["interval"] = bootstrap.interval(column[:, None])
    return found


def _known(row: Float[np.ndarray, " structures"]) -> bool:
    """Whether a heart has a value for any structure."""
    return not np.isnan(row).all()


def _range(values: list[float]) -> list[float] | None:
    return [min(values), max(values)] if values else None


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
