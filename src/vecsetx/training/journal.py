"""The journal of a run: ``metrics.jsonl``, one line per entry."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from vecsetx.errors import InputError
from vecsetx.files import write_text
from vecsetx.limits import JOURNAL_BYTES
from vecsetx.plain_data import PlainDataError, parse_json, validated, validator
from vecsetx.special_files import check_no_device

__all__ = ["Entry", "Journal", "mean_points_dice", "read_journal"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    Attributes:
        step: Steps done.
        split: ``train``, ``val``, or ``length`` where the run was resumed with another length.
        loss: Mean loss since the last entry, or over the hearts of a validation.
        terms: Its weighted terms, which add up to it.
        shares: Each term's share of the loss.
        gradient_norms: Norm of each term's own gradient at this step, if it was measured.
        lr: Largest learning rate at this step.
        seconds: Training time so far, including earlier parts of a resumed run.
        waiting: Share of the time since the last entry spent waiting for data, 0…1.
        hearts_per_second: Throughput of all ranks together since the last entry.
        memory_gb: Peak memory of rank 0, 10⁹ bytes: on a GPU, allocated since the last entry; on a
            CPU, of the process since its start.
        lost: Names of the hearts whose files became unreadable so far.
        grid_dice: Mean Dice on the voxel grids of the hearts that every validation scores. The best
            checkpoint is chosen by it.
        grid: Mean Dice on the voxel grid per structure, over ``grid_hearts``.
        grid_hearts: Names of the hearts scored in this validation.
        points: Point scores: per structure ``dice``, ``iou`` and ``accuracy`` of being inside at
            near and volume points of all validation hearts. They are no scores of shapes.
        error: Why a validation failed.
        steps, former_steps: Number of steps of the whole run from here on, and before.
    """

    step: int
    split: str
    loss: float | None = None
    terms: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    gradient_norms: dict[str, float] | None = None
    lr: float | None = None
    seconds: float = 0.0
    waiting: float | None = None
    hearts_per_second: float | None = None
    memory_gb: float | None = None
    lost: list[str] = field(default_factory=list)
    grid_dice: float | None = None
    grid: dict[str, float] = field(default_factory=dict)
    grid_hearts: list[str] = field(default_factory=list)
    points: dict[str, dict[str, float]] = field(default_factory=dict)
    error: str | None = None
    steps: int | None = None
    former_steps: int | None = None


class Journal:
    """Appends entries to a run's ``metrics.jsonl``.

    Args:
        path: The file.
        resume_at: The step at which the run continues. Later entries are removed, because they will
            be written again.
    """

    def __init__(self, path: Path, resume_at: int) -> None:
        self.path = path
        self._unwritten = ""
        kept = [entry for entry in read_journal(path) if entry["step"] <= resume_at]
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))

    def add(self, entry: Entry) -> None:
        """Append a line; keys without a value are left out.

        Raises:
            OSError: It cannot be written now. The next call tries again.
        """
        data = {key: value for key, value in asdict(entry).items() if value not in (None, {}, [])}
        self._unwritten += json.dumps(data) + "\n"
        whole = self.path.stat().st_size
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(self._unwritten)
        except OSError:
            os.truncate(self.path, whole)  # removes half a line, should there be one
            raise
        self._unwritten = ""


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a ``metrics.jsonl`` as plain data; none if there is no file.

    An incomplete last line, from a run that was killed while writing it, is left out.

    Raises:
        InputError: A line is no entry.
    """
    check_no_device(path)
    if not path.exists():
        return []
    if path.stat().st_size > JOURNAL_BYTES:
        raise InputError(f"{path}: has over {JOURNAL_BYTES} bytes, which no journal has")
    entries = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                try:
                    entries.append(_entry(parse_json(line.decode())))
                except (PlainDataError, UnicodeDecodeError) as error:
                    raise InputError(
                        f"{path}, line {number}: no entry of a journal ({error}); remove that line"
                    ) from error
    return entries


def mean_points_dice(points: Mapping[str, Mapping[str, float]]) -> float | None:
    """Mean over the structures of a validation's Dice at sample points; None without any.

    Args:
        points: Structure → scores, as in ``points`` of a line of ``metrics.jsonl``.
    """
    dice = [scores["dice"] for scores in points.values() if "dice" in scores]
    known = [value for value in dice if math.isfinite(value)]
    return fmean(known) if known else None


def _entry(data: object) -> dict[str, Any]:
    """Return the values of a line that are an entry's.

    Raises:
        PlainDataError: A value is missing, or of another type.
    """
    entry = validated(validator(Entry), data)
    if entry.step < 0 or (entry.split == "train" and (entry.loss is None or entry.lr is None)):
        raise PlainDataError("step, loss or lr is missing or negative")
    given = data if isinstance(data, dict) else {}
    return {name: value for name, value in asdict(entry).items() if name in given}
