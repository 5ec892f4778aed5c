"""A run's journal: ``metrics.jsonl``, one line per entry, the truth about how training went."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vecsetx.files import write_text


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    Attributes:
        step: Steps done.
        split: ``train`` or ``val``.
        loss: The loss, on average since the last entry; None in a validation, which scores.
        terms: Its weighted terms, which add up to it.
        shares: Each term's share of the loss.
        gradient_norms: Length of each term's own gradient at this step, where it was asked for.
        lr: Largest learning rate at this step.
        seconds: Training time so far, earlier parts of a resumed run included.
        waiting: Share of the time since the last entry spent waiting for data.
        grid_dice: Mean Dice on the voxel grid, in entries of a validation.
        error: What went wrong in a validation.
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
    grid_dice: float | None = None
    error: str | None = None


class Journal:
    """Appends entries to a run's ``metrics.jsonl``.

    Args:
        path: The file.
        resume_at: Entries after this step are forgotten: they will be written again.
    """

    def __init__(self, path: Path, resume_at: int) -> None:
        self.path = path
        kept = [entry for entry in read_journal(path) if entry["step"] <= resume_at]
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))

    def add(self, entry: Entry) -> None:
        """Append a line, without keys for what is None."""
        data = {key: value for key, value in asdict(entry).items() if value is not None}
        with self.path.open("a") as file:
            file.write(json.dumps(data) + "\n")


def read_journal(path: Path) -> list[dict]:  # type: ignore[type-arg]
    """The entries of a ``metrics.jsonl`` as plain data; empty if there is no file.

    A last line that was cut off (a run that was killed while writing it) is left out.
    """
    if not path.exists():
        return []
    entries = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            entries.append(json.loads(line))
    return entries
