"""Output of running commands: a live display on a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from vecsetx.progress import duration_text, hearing_stages
from vecsetx.terminal.silence import CommandConsole

__all__ = [
    "RateTexts",
    "Steps",
    "console",
    "on_terminal",
    "progress_bar",
    "steps",
    "waiting",
    "warn",
]

console = CommandConsole(highlight=False, emoji=False)  # a file may be named a:cd:b
"""Where commands print."""

_SECONDS_BETWEEN_LINES, _MANY_LINES_S, _LATER_SECONDS = 4.0, 3600.0, 15.0
"""Longest silence where lines are printed: up to an hour of one piece of work, and after that."""

_SECONDS_TO_FIRST_LINE = 2.0
"""The same before the first line of a piece of work, and while there is nothing to count."""

_BAR_WIDTH, _WIDE = 14, 100
"""Width of a bar, and of terminals in which it fits beside the longest title and the time left."""

_PACE_SECONDS, _PACE_REPORTS = 60.0, 100
"""The pace is the mean over the last minute, or over the last hundred reports if that is longer."""


class Steps:
    """Shows the progress of one piece of work; a :class:`~vecsetx.progress.Progress`.

    Args:
        title: Name of the work.
        total: Number of steps.
        unit: What is counted, in the plural.
        display: The live display that shows the count; None: lines are printed.

    Attributes:
        rate: Recent steps per second; 0 while it is unknown.
    """

    def __init__(self, title: str, total: int, unit: str, display: Progress | None) -> None:
        self.rate = 0.0
        self._title, self._total, self._display = title, total, display
        self._rate_texts = RateTexts(unit)
        self._done, self._began = 0, time.monotonic()
        self._note, self._stage = "", ""
        self._next_line = self._began + _SECONDS_BETWEEN_LINES
        self._has_line = False
        self._reports: deque[tuple[float, int]] = deque()
        self._task = display.add_task(title, total=total, note="", steps=self) if display else None

    def advance(self, note: str = "") -> None:
        """Count one more step as done, and show ``note`` beside the count."""
        if not self._reports:  # counting begins at 0, so the first step has a pace, too
            self._reports.append((self._began, 0))
        self.reach(self._done + 1, note)

    def reach(self, done: int, note: str = "") -> None:
        """Set the number of steps that are done. Resumed work starts with many at once."""
        self._done, self._note, now = done, note, time.monotonic()
        next_report = now + self._report(now)
        if self._display is not None:
            self._show()
        elif next_report > self._next_line or done == self._total:
            self.print_line()

    def begin(self, note: str) -> None:
        """Show what the next step is about, such as a heart's name, beside its stages."""
        self._note = note
        self._show()

    def set_stage(self, text: str) -> None:
        """Show what is being done within a step; empty for nothing in particular."""
        self._stage = text
        self._show()

    def print_line(self) -> None:
        """Print the count, the note, the stage and the pace as a line."""
        self._has_line = True
        line = f"{self._title}: {self._done}/{self._total} {self._doing()}".strip()
        console.notice(f"{line} ({self.pace})")
        self._next_line = time.monotonic() + self.seconds_between_lines()

    def seconds_between_lines(self) -> float:
        """Return the longest silence where lines are printed."""
        if not self._has_line:
            return min(_SECONDS_TO_FIRST_LINE, _SECONDS_BETWEEN_LINES)
        is_long = time.monotonic() - self._began > _MANY_LINES_S
        return _LATER_SECONDS if is_long else _SECONDS_BETWEEN_LINES

    @property
    def rate_text(self) -> str:
        """The rate as text; empty while it is unknown."""
        return self._rate_texts.of(self.rate) if self.rate else ""

    @property
    def time_left(self) -> str:
        """The time left as text; empty while it is unknown, and at the end.

        It runs down within a step, too, until the step takes longer than those before.
        """
        left = self._total - self._done
        if not self.rate or left <= 0:
            return ""
        waited_s = time.monotonic() - self._reports[-1][0]
        left_s = max(left / self.rate - waited_s, (left - 1) / self.rate)
        return duration_text(left_s) if left_s else ""

    @property
    def pace(self) -> str:
        """The pace, if known, and the time left or taken, as text."""
        parts, took = [self.rate_text] * bool(self.rate), time.monotonic() - self._began
        if self._done >= self._total:
            parts.append(f"took {duration_text(took)}")
        elif left := self.time_left:
            parts.append(f"{left} left")
        else:
            parts.append(f"for {duration_text(took)}")
        return ", ".join(parts)

    def _show(self) -> None:
        """Update the live display, if there is one."""
        if self._display is not None and self._task is not None:
            self._display.update(self._task, completed=self._done, note=self._doing())

    def _doing(self) -> str:
        return ": ".join(part for part in (self._note, self._stage) if part)

    def _report(self, now: float) -> float:
        """Note the count for the rate, and return the seconds since the report before."""
        last = self._reports[-1][0] if self._reports else self._began
        self._reports.append((now, self._done))
        # Forget reports older than a minute, but keep a hundred.
        while len(self._reports) > _PACE_REPORTS and self._reports[1][0] < now - _PACE_SECONDS:
            self._reports.popleft()
        since, before = self._reports[0]
        self.rate = (self._done - before) / (now - since) if now > since else 0.0
        return now - last


class RateTexts:
    """Formats rates per second, minute or hour: all by the period that suits the first of them.

    Args:
        unit: What is counted, in the plural.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._period: tuple[str, int] | None = None

    def of(self, per_second: float) -> str:
        """Format a rate; the first one sets the period, the shortest that gives at least 0.5."""
        if self._period is None:
            periods = {"s": 1, "min": 60, "h": 3600}
            fits = (period for period in periods.items() if per_second * period[1] >= 0.5)
            self._period = next(fits, ("h", 3600))
        name, seconds = self._period
        rate = per_second * seconds
        digits = 0 if rate >= 9.95 else 1 if rate >= 0.095 else 3
        return f"{rate:.{digits}f} {self._unit}/{name}"


def warn(text: str) -> None:
    """Print a warning: folded between words on a terminal, elsewhere as one line."""
    console.remark(text, style="yellow", soft_wrap=not console.is_terminal)


def on_terminal() -> bool:
    """Return whether a live display can be shown, and is wanted."""
    return console.shown == "all" and console.is_terminal and not console.is_dumb_terminal


def progress_bar(*more: ProgressColumn) -> Progress:
    """Return a bar with title, count and elapsed time, followed by ``more`` columns.

    On a narrow terminal these take the place of the bar and the elapsed time.
    """
    wide = not more or console.width >= _WIDE
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        *([BarColumn(bar_width=_BAR_WIDTH)] if wide else []),
        MofNCompleteColumn(),
        *([TimeElapsedColumn()] if wide else []),
        *more,
        console=console,
        expand=bool(more),
    )


@contextmanager
def steps(title: str, total: int, unit: str = "steps") -> Iterator[Steps]:
    """Show progress, pace and time left while the block runs.

    Args:
        title: Name of the work.
        total: Number of steps.
        unit: What is counted, in the plural.
    """
    if not on_terminal():
        shown = Steps(title, total, unit, None)
        with (
            console.breaking_silence(shown.print_line, shown.seconds_between_lines),
            hearing_stages(shown.set_stage),
        ):
            yield shown
        return
    pace = TextColumn("{task.fields[steps].pace}")  # as of when it is drawn
    # The note alone is cut where a line is too long.
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    note = TextColumn("{task.fields[note]}", style="dim", markup=False, table_column=rest)
    with progress_bar(pace, note) as display:
        shown = Steps(title, total, unit, display)
        with hearing_stages(shown.set_stage):
            yield shown


@contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Show that something without steps to count is being done, while the block runs.

    A terminal shows it with the time that it takes, and nothing is left there; elsewhere a line is
    printed if it takes some seconds. In the block, print by :data:`console` only. It decorates
    functions, too.

    Args:
        doing: What is being done, such as ``reading the model``.
    """
    began, stage, has_line = time.monotonic(), "", False

    def say() -> None:
        nonlocal has_line
        has_line = True
        what = f"{doing}: {stage}" if stage else doing
        took = duration_text(time.monotonic() - began)
        console.notice(f"{what} ({took})")

    def set_stage(text: str) -> None:
        nonlocal stage
        stage = text
        if display is not None:
            display.update(task, note=text)

    display = None
    with ExitStack() as entered:
        if on_terminal():
            note = TextColumn("{task.fields[note]}", style="dim", markup=False)
            columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), note
            display = entered.enter_context(Progress(*columns, console=console, transient=True))
            task = display.add_task(escape(doing), total=None, note="")
        else:
            entered.enter_context(
                console.breaking_silence(
                    say, lambda: _SECONDS_BETWEEN_LINES if has_line else _SECONDS_TO_FIRST_LINE
                )
            )
        entered.enter_context(hearing_stages(set_stage))
        yield
