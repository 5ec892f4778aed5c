"""Files that may not grow, as on a disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.forked import run_command


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes; writing more is an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run_command_with_small_files(words: list[str], log: Path, size: int) -> None:
    """Be the command ``vecsetx`` where no file, of its workers either, grows beyond that."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    run_command(words, log)
