"""What ranks do in the tests of training on several ranks."""

import os
from pathlib import Path

import pytest

from support.forked import run_command
from vecsetx.training.ranks import joined_ranks


def refuse() -> None:
    raise OSError(28, "No space left on device", "checkpoint.pt")


def ask_the_first(folder: Path) -> None:
    """Write down what the first rank's failure looks like on this rank."""
    with joined_ranks() as ranks:
        assert ranks.on_first_rank(lambda: ranks.rank + 7) == 7
        try:
            ranks.on_first_rank(refuse)
        except OSError as error:
            (folder / str(ranks.rank)).write_text(f"{error.filename}: {error.strerror}")


def fail_as_command(words: list[str], folder: Path) -> None:
    """Be the command ``vecsetx``, which must fail; its messages go into a file named by rank."""
    with pytest.raises(SystemExit) as ended:
        run_command(words, folder / os.environ["RANK"])
    assert ended.value.code == 1
