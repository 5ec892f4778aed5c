"""What libraries say while they read a file, which is said here in other words."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["quiet_libraries", "quiet_stderr"]


@contextmanager
def quiet_libraries(*loggers: str) -> Iterator[None]:
    """Silence warnings, numpy's complaints about numbers, and some libraries' loggers.

    What was read is checked, and errors name the file.

    Args:
        loggers: Names of the loggers.
    """
    found = [logging.getLogger(name) for name in loggers]
    before = [logger.disabled for logger in found]
    try:
        for logger in found:
            logger.disabled = True
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(found, before, strict=True):
            logger.disabled = was


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what a library writes to the file of stderr, past Python.

    What other threads write there is dropped, too, so that the block should be short.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
