"""What becomes of failures: a line on stderr, and an exit status."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from vecsetx.errors import DivergedError, InputError, StoppedError

_INTERRUPTED, _TRY_AGAIN = 130, 75
"""Exit statuses: of a program that Ctrl-C stopped, and of one to be started again (EX_TEMPFAIL)."""


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the program where what is done within raises one of the errors to be expected.

    Its message becomes one line. Bad input and a disk that is full give the exit status 2, a
    training that diverged 1, one that was stopped 130 by hand and else 75.
    """
    try:
        yield
    except InputError as error:
        _complain(str(error))
        sys.exit(2)
    except DivergedError as error:
        _complain(str(error))
        sys.exit(1)
    except StoppedError as error:
        _complain(str(error))
        sys.exit(_INTERRUPTED if error.by_hand else _TRY_AGAIN)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}; make room, or choose another folder")
        sys.exit(2)


def _complain(message: str) -> None:
    typer.secho(f"vecsetx: {message}", fg="red", err=True)


def report_failures(failed: dict[str, str]) -> None:
    """List hearts that could not be done; exit status 1 if there are any."""
    if not failed:
        return
    typer.secho(f"{len(failed)} hearts failed:", fg="red", err=True)
    for reason in failed.values():
        typer.secho(f"  {reason}", fg="red", err=True)
    raise typer.Exit(1)
