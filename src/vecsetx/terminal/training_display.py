"""Display of a training run: a live display or plain lines, and a log."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.columns import Columns
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vecsetx.progress import hearing_stages
from vecsetx.terminal.progress_bars import RateTexts, Steps, console, on_terminal, progress_bar
from vecsetx.terminal.run_log import RunLog
from vecsetx.training.diagnosis import Row, best_validation
from vecsetx.training.journal import Entry, mean_points_dice, read_journal
from vecsetx.training.meters import GB, bytes_text

__all__ = ["TrainingDisplay", "training_display"]


@contextmanager
def training_display(total_steps: int, log: RunLog) -> Iterator["TrainingDisplay"]:
    """Display and log training while the block runs.

    Args:
        total_steps: Number of steps of the whole run.
        log: Receives a line for every entry. For a resumed run, the best earlier validation is read
            from the ``metrics.jsonl`` beside it.
    """
    progress = progress_bar() if on_terminal() else None
    steps = Steps("training", total_steps, "steps", progress)
    course = _Course(log.path.with_name("metrics.jsonl"))
    shown = TrainingDisplay(steps, course, log)
    if progress is None:
        with (
            console.breaking_silence(steps.print_line, steps.seconds_between_lines),
            hearing_stages(steps.set_stage),
        ):
            yield shown
        return
    with Live(
        get_renderable=lambda: Group(progress, _tables(steps, course)),
        console=console,
        refresh_per_second=10,
    ):
        yield shown


class TrainingDisplay:
    """Takes what happens in a run, for its display and its log."""

    def __init__(self, steps: Steps, course: "_Course", log: RunLog) -> None:
        self._steps, self._course, self._log = steps, course, log

    def step(self, done: int) -> None:
        """Show the number of steps that are done."""
        self._steps.reach(done, self._course.note())

    def entry(self, entry: Entry) -> None:
        """Log an entry of the journal, and show it: at once if it is a validation's."""
        course = self._course
        self._log.write(_line(entry, course.train.lost, course.hearts))
        course.add(entry)
        if entry.split == "val":
            self.step(entry.step)


class _Course:
    """The last entry of each kind, the best Dice on the grid, and the texts of its heart rates.

    Args:
        journal: The run's journal, which contains the validations before the run was resumed.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._grid_dice: float | None = None
        self._best: Row | None = None
        self.train, self.val = Entry(0, "train"), Entry(0, "val")
        self.hearts = RateTexts("hearts")

    def add(self, entry: Entry) -> None:
        """Add the next entry. After a failed validation, the previous one stays."""
        if entry.split == "train":
            self.train = entry
        elif entry.split == "val" and entry.error is None:
            self.val = entry
        if entry.grid_dice is not None:
            self._grid_dice = entry.grid_dice
            # A resumed run may have had its best validation before.
            known = [self._best] if self._best else read_journal(self._journal)
            self._best = best_validation([*known, asdict(entry)])

    def grid_dice(self) -> str:
        """Format the last and the best Dice on the grid."""
        best = f", best {self._best['grid_dice']:.3f}" if self._best else ""
        return _dice(self._grid_dice) + best

    def note(self) -> str:
        """Return the loss and the Dice, short enough for the progress line."""
        return _joined({"loss": _number(self.train.loss), "grid Dice": self.grid_dice()})


def _tables(steps: Steps, course: _Course) -> Columns:
    """Return the terms of the loss and other facts, side by side if there is room."""
    train = course.train
    facts = {
        "pace": steps.rate_text,
        "time left": steps.time_left,
        **_facts(train, course.hearts),
        "grid Dice": course.grid_dice(),
        "lost hearts": str(len(train.lost) or ""),
    }
    beside = Table.grid(padding=(0, 1))
    for label, text in facts.items():
        if text:
            beside.add_row(Text(label, "dim"), text)
    tables = [_terms_table(train, course.val), beside]
    return Columns([table for table in tables if table.row_count], padding=(0, 3))


def _terms_table(train: Entry, val: Entry) -> Table:
    """Return the loss and its terms in training and validation, with each term's share."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    if train.loss is None:
        return table
    table.add_column()
    table.add_column("train", justify="right", min_width=8)
    table.add_column("share")
    table.add_column(justify="right", min_width=4)
    table.add_column("val" if val.loss is not None else "", justify="right")
    table.add_row("loss", _number(train.loss), "", "", _number(val.loss), style="bold")
    for name, term in train.terms.items():
        share = train.shares.get(name, 0.0)
        bar = ProgressBar(1.0, share, width=10)
        table.add_row(name, _number(term), bar, f"{share:.0%}", _number(val.terms.get(name)))
    return table


def _line(entry: Entry, lost_before: list[str], hearts: RateTexts) -> str:
    """Format an entry as a line of the log."""
    if entry.split == "length":
        return (
            f"step {entry.step}: continues as a run of {entry.steps} instead of "
            f"{entry.former_steps} steps; the learning rate follows the new schedule from here on"
        )
    if entry.error is not None:
        return f"step {entry.step}: validation failed: {' '.join(entry.error.split())}"
    terms = {
        name: _number(term) + (f" {entry.shares[name]:.0%}" if name in entry.shares else "")
        for name, term in entry.terms.items()
    }
    loss = {"loss": _with(_number(entry.loss), _joined(terms))}
    if entry.split == "train":
        lost = entry.lost if entry.lost != lost_before else []
        facts = loss | _facts(entry, hearts) | {"lost hearts": " ".join(lost)}
        return f"step {entry.step}: {_joined(facts)}"
    grid = _joined({name: _dice(dice) for name, dice in entry.grid.items()})
    scored = _joined({"of": " ".join(entry.grid_hearts)})
    facts = loss | {
        "grid Dice": _with(_dice(entry.grid_dice), f"{grid} {scored}".strip()),
        "points Dice": _dice(mean_points_dice(entry.points)),
    }
    return f"step {entry.step}: validation: {_joined(facts)}"


def _facts(train: Entry, hearts: RateTexts) -> dict[str, str]:
    """Label → text, for an entry's rates, memory and waiting; empty texts where unknown."""
    pace, memory, waiting = train.hearts_per_second, train.memory_gb, train.waiting
    return {
        "learning rate": _number(train.lr),
        "throughput": "" if pace is None else hearts.of(pace),
        "memory": "" if memory is None else bytes_text(memory * GB),
        "waiting": "" if waiting is None else f"{waiting:.0%} for data",
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.3g}"


def _dice(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _with(text: str, details: str) -> str:
    return f"{text} ({details})".strip() if details else text


def _joined(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{label} {text}" for label, text in facts.items() if text)
