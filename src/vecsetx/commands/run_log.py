"""``train.log``: what happened in a run, in words, with date and time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecsetx.commands.progress import console


class RunLog:
    """Appends lines to a run's log, so that a resumed run's goes on.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fails = False

    def write(self, text: str) -> None:
        """Append a line; where it cannot be written, that is told once, and the run goes on."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(text.split())}\n"
        try:
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(line)
            self._fails = False
        except OSError as error:
            if not self._fails:
                _print(f"{self.path}: not written ({error.strerror or error})")
            self._fails = True

    def warn(self, text: str) -> None:
        """Append a line, and print it."""
        _print(text)
        self.write(text)

    @contextmanager
    def of_errors(self) -> Iterator[None]:
        """Append why the block ends early; the error goes on."""
        try:
            yield
        except BaseException as error:
            self.write(f"{type(error).__name__}: {error}")
            raise


def _print(text: str) -> None:
    console.print(text, style="yellow", markup=False, soft_wrap=True)
