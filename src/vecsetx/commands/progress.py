"""What a person sees while a command runs: a live display on a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

console = Console(highlight=False)
"""Where commands print."""

_SECONDS_BETWEEN_LINES = 15.0
_PACE_SECONDS, _PACE_REPORTS = 60.0, 100
"""The pace is that of the last minute, or of the last hundred reports where they took longer."""


class Steps:
    """Counts the steps of one piece of work.

    Args:
        title: What is done, in words.
        total: How many steps there are.
        unit: What one counts, in the plural.
        display: Where the count is shown; None to print lines.

    Attributes:
        rate: Steps per second of late; 0 while that is not known.
    """

    def __init__(self, title: str, total: int, unit: str, display: Progress | None) -> None:
        self.rate = 0.0
        self._title, self._total, self._unit, self._display = title, total, unit, display
        self._done, self._began = 0, time.monotonic()
        self._last_line = self._began
        self._reports: deque[tuple[float, int]] = deque()
        self._task = display.add_task(title, total=total, note="", pace="") if display else None

    def advance(self, note: str = "") -> None:
        """Count a step as done; ``note`` is shown beside the count."""
        if not self._reports:
            self._reports.append((self._began, 0))
        self.reach(self._done + 1, note)

    def reach(self, done: int, note: str = "") -> None:
        """Set how many steps are done. Work that is resumed reaches many at once, at first."""
        self._done, now = done, time.monotonic()
        self._report(now)
        if self._display is not None and self._task is not None:
            self._display.update(self._task, completed=done, note=note, pace=self._pace(now))
        elif now - self._last_line >= _SECONDS_BETWEEN_LINES or done == self._total:
            self._last_line = now
            line = f"{self._title}: {done}/{self._total} {note}".strip()
            console.print(f"{line} ({self._pace(now)})", markup=False)

    @property
    def time_left(self) -> str:
        """In words; empty while it is not known, and at the end."""
        left = self._total - self._done
        return duration_text(left / self.rate) if self.rate and left > 0 else ""

    def _report(self, now: float) -> None:
        self._reports.append((now, self._done))
        while len(self._reports) > _PACE_REPORTS and self._reports[1][0] < now - _PACE_SECONDS:
            self._reports.popleft()
        since, before = self._reports[0]
        self.rate = (self._done - before) / (now - since) if now > since else 0.0

    def _pace(self, now: float) -> str:
        """How fast it goes, and how long it will or did take; says only what is known."""
        parts = [rate_text(self.rate, self._unit)] if self.rate else []
        if self._done >= self._total:
            parts.append(f"took {duration_text(now - self._began)}")
        elif self.rate:
            parts.append(f"{self.time_left} left")
        else:
            parts.append(f"for {duration_text(now - self._began)}")
        return ", ".join(parts)


def rate_text(per_second: float, unit: str) -> str:
    """A rate, per second, minute or hour: the first of them that makes it no small fraction."""
    periods = {"s": 1, "min": 60, "h": 3600}
    name = next((name for name, size in periods.items() if per_second * size >= 0.5), "h")
    rate = per_second * periods[name]
    return f"{rate:.{0 if rate >= 9.95 else 1}f} {unit}/{name}"


def duration_text(seconds: float) -> str:
    """A duration: in s below two minutes, in min below two hours, in h below two days, in days."""
    for limit, size, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def on_terminal() -> bool:
    """Whether a live display can be shown."""
    return console.is_terminal and not console.is_dumb_terminal


def progress_bar(*more: ProgressColumn) -> Progress:
    """A bar with title, count and time so far; ``more`` columns follow."""
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *more,
        console=console,
    )


@contextmanager
def steps(title: str, total: int, unit: str = "steps") -> Iterator[Steps]:
    """Show the progress of ``total`` steps while the block runs, with their pace and time left.

    Args:
        title: What is done, in words.
        total: How many steps there are.
        unit: What one counts, in the plural.
    """
    if not on_terminal():
        yield Steps(title, total, unit, None)
        return
    pace = TextColumn("{task.fields[pace]}")
    note = TextColumn("{task.fields[note]}", style="dim", markup=False)
    with progress_bar(pace, note) as display:
        yield Steps(title, total, unit, display)
