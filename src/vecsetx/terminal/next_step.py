"""The last line of a command: what to type next."""

import shlex
from contextlib import suppress
from pathlib import Path

from vecsetx.model.built_in import BUILT_IN, is_built_in
from vecsetx.terminal.progress_bars import console

__all__ = ["model_words", "print_next", "reading", "typed", "unused_folder"]


def typed(*words: object) -> str:
    """Return a command of VecSetX as it is typed, with quotes where a shell needs them.

    Args:
        *words: The command, its arguments and its options. A path within the current folder is
            given from there.
    """
    return shlex.join(["vecsetx", *(_short(word) for word in words)])


def _short(word: object) -> str:
    with suppress(OSError):  # the current folder may be gone
        here = Path.cwd()
        if isinstance(word, Path) and word.is_absolute() and here in word.parents:
            short = str(word.relative_to(here))
            return str(word) if short.startswith("-") else short  # that would be an option
    return str(word)


def model_words(model: str | Path | None) -> tuple[str, ...]:
    """Return the words of a command that name a model; none for the built-in one.

    Args:
        model: A folder, a name on the Hugging Face Hub, or a name that results record; None for the
            built-in model.
    """
    if model is None or str(model) == BUILT_IN or is_built_in(Path(model)):
        return ()
    return ("--model", str(model))


def reading(page: Path) -> str:
    """Return what to do with a page."""
    return f"open {shlex.quote(str(page))} in a browser"


def unused_folder(name: str) -> str:
    """Return the name of a folder that does not exist here yet: ``run/``, ``run-2/`` and so on.

    Args:
        name: The name to begin with, ``run``.
    """
    number = 1
    while Path(found := name if number == 1 else f"{name}-{number}").exists():
        number += 1
    return f"{found}/"


def print_next(command: str) -> None:
    """Print what to type next as one line that can be copied."""
    console.notice(f"next: {command}")
