"""What a person sees while a command runs: a live display on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(highlight=False)
"""Where commands print."""

_SECONDS_BETWEEN_LINES = 15.0


class Steps:
    """Counts the steps of one piece of work. Made by :func:`steps`."""

    def __init__(self, title: str, total: int, display: Progress | None) -> None:
        self._title, self._total, self._display = title, total, display
        self._done, self._began = 0, time.monotonic()
        self._last_line = self._began
        self._task = display.add_task(title, total=total, note="") if display else None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count steps as done; ``note`` is shown beside the count."""
        self.reach(self._done + count, note)

    def reach(self, done: int, note: str = "") -> None:
        """Set how many steps are done."""
        self._done = done
        if self._display is not None and self._task is not None:
            self._display.update(self._task, completed=done, note=note)
            return
        now = time.monotonic()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES or self._done == self._total:
            self._last_line = now
            seconds = f"{now - self._began:.0f} s"
            console.print(f"{self._title}: {self._done}/{self._total} {note} ({seconds})".strip())


@contextmanager
def steps(title: str, total: int) -> Iterator[Steps]:
    """Show the progress of ``total`` steps while the block runs."""
    if not console.is_terminal:
        yield Steps(title, total, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=console) as display:
        yield Steps(title, total, display)
