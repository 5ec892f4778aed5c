"""Standard output and error, where text that cannot be shown or read must not end a command."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["robust_streams"]


@contextmanager
def robust_streams() -> Iterator[None]:
    """Show a question mark for each sign that the terminal's encoding lacks, while the block runs.

    Otherwise a heart's name could end a command after its work was done. If the reader of a pipe
    has gone (``| head -1``), what is left to print is dropped at the end, without an error; if it
    cannot be written for another reason, the exit status is 2. Files that commands write are always
    UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        yield
    except BaseException:
        _flush()
        raise
    if not _flush():
        sys.exit(2)


def _flush() -> bool:
    """Print what is left; false if it was lost, other than by a pipe whose reader has gone."""
    printed = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            printed &= isinstance(error, BrokenPipeError)
            # Python flushes once more as it ends; that goes nowhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return printed
