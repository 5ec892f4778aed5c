"""A console that is never silent for long, where there is no terminal with a live display."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console

from vecsetx.launcher import is_first_rank

__all__ = ["CommandConsole", "Shown"]

Shown = Literal["all", "results", "remarks"]
"""What is printed: all; results and remarks, without progress; or remarks only."""

_LEAST_WAIT_S = 0.05


class CommandConsole(Console):
    """A console that knows when something was printed last, by whichever thread.

    Args:
        options: As for :class:`~rich.console.Console`.

    Attributes:
        shown: What is printed. The command line sets it (``--quiet``).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shown: Shown = "all"
        self._last_output = time.monotonic()
        self._speaking = threading.Lock()

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a result as :class:`~rich.console.Console` does."""
        if self.shown != "remarks":
            self._print(*objects, **options)

    def notice(self, text: str) -> None:
        """Print a line on what goes on or comes next, which is no result."""
        if self.shown == "all":
            self._print(text, markup=False, soft_wrap=True)

    def heading(self, title: str) -> None:
        """Print a line across the terminal that says what begins."""
        if self.shown == "all":
            self.rule(f"[bold]{title}", align="left")

    def remark(self, text: str, **options: Any) -> None:
        """Print a remark, which always stays: it says what to make of a result."""
        self._print(text, markup=False, **options)

    def _print(self, *objects: Any, **options: Any) -> None:
        super().print(*objects, **options)
        self._last_output = time.monotonic()

    @contextmanager
    def breaking_silence(
        self, say: Callable[[], None], after_s: Callable[[], float]
    ) -> Iterator[None]:
        """Call ``say`` whenever nothing was printed for ``after_s()`` seconds, during the block.

        A thread does so, because the code in the block may be deep in a library. Of the processes
        that ``torchrun`` starts, only the first one says anything, and none does without progress.

        Args:
            say: Prints a line.
            after_s: Returns the longest silence in seconds.
        """
        if self.shown != "all" or not is_first_rank():
            yield
            return
        ended = threading.Event()

        def left_s() -> float:
            return self._last_output + after_s() - time.monotonic()

        def watch() -> None:
            while not ended.wait(max(left_s(), _LEAST_WAIT_S)):
                with self._speaking:
                    if left_s() > 0:
                        continue
                    try:
                        say()
                    except (OSError, ValueError, SystemExit):
                        return  # nobody can read it; the next print of the command itself tells

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
