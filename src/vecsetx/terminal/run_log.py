"""``train.log``: the events of a run as text, with date and time."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecsetx.terminal import progress_bars

__all__ = ["RunLog"]


class RunLog:
    """Appends lines to a run's log, which a resumed run continues.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fails = False

    def write(self, text: str) -> None:
        """Append a line. If the file cannot be written, warn once and continue."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(text.split())}\n"
        try:
            with open(
                self.path, "a", encoding="utf-8", errors="backslashreplace", opener=_no_link
            ) as file:
                file.write(line)
            self._fails = False
        except OSError as error:
            if not self._fails:
                progress_bars.warn(f"{self.path}: not written ({error.strerror or error})")
            self._fails = True

    def tell(self, text: str) -> None:
        """Append a line and print it."""
        progress_bars.console.notice(text)
        self.write(text)

    def warn(self, text: str) -> None:
        """Append a line and print it as a warning."""
        progress_bars.warn(text)
        self.write(text)

    @contextmanager
    def of_errors(self) -> Iterator[None]:
        """Append the error that ends the block early, and raise it again."""
        try:
            yield
        except BaseException as error:
            self.write(f"{type(error).__name__}: {error}")
            raise


def _no_link(path: str, flags: int) -> int:
    """Open a file; fail if it is a link, so that no file elsewhere is appended to."""
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "a link to another file; remove the link")
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
