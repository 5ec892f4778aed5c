"""Warnings of the library, which it logs, as lines on the terminal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["warnings_on_terminal"]


class _TerminalHandler(logging.Handler):
    """Prints each record as one line, above a live display if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from vecsetx.terminal.progress_bars import warn

        warn(self.format(record))


@contextmanager
def warnings_on_terminal() -> Iterator[None]:
    """Print what ``vecsetx.*`` logs while the block runs, warnings and worse.

    Python's own warnings, which other libraries raise, are not shown.
    """
    logging.captureWarnings(True)
    handler = _TerminalHandler(logging.WARNING)
    logger = logging.getLogger("vecsetx")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
