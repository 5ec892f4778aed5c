"""What ranks do in the tests of training on several ranks."""

from pathlib import Path

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
