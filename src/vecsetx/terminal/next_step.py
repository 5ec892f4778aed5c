"""The last line of a command: what to type next."""

import shlex

from vecsetx.terminal.progress_bars import console

__all__ = ["print_next", "typed"]


def typed(*words: object) -> str:
    """Return a command of VecSetX as it is typed, with quotes where a shell needs them.

    Args:
        *words: The command, its arguments and its options.
    """
    return shlex.join(["vecsetx", *map(str, words)])


def print_next(command: str) -> None:
    """Print what to type next as one line that can be copied."""
    console.print(f"next: {command}", markup=False, soft_wrap=True)
