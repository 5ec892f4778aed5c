"""Expected errors as one line on stderr and an exit status."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import typer

from vecsetx.errors import DivergedError, InputError, StoppedError, missing_module
from vecsetx.files import in_words

__all__ = ["errors_in_one_line", "exit_status", "report_failures"]

_INTERRUPTED, _TRY_AGAIN = 130, 75
"""Exit statuses of a program stopped by Ctrl-C, and of one to be started again (EX_TEMPFAIL)."""


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print the message of an expected error as one line and end the program.

    The exit status is 2 for bad input, for files that cannot be read or written, for lack of memory
    and for packages that are not installed, 1 if training diverged, 130 if a person stopped it, and
    75 if another signal did.
    """
    try:
        yield
    except (InputError, DivergedError, StoppedError) as error:
        _complain(str(error))
        sys.exit(exit_status(error))
    except MemoryError as error:
        details = f" ({error})" if str(error) else ""
        _complain(f"memory ran out{details}; give fewer or smaller hearts, or a smaller model")
        sys.exit(exit_status(error))
    except OSError as error:
        _complain(in_words(error))
        sys.exit(exit_status(error))
    except ModuleNotFoundError as error:
        if not (message := missing_module(error)):
            raise
        _complain(message)
        sys.exit(exit_status(error))


def exit_status(error: BaseException) -> int:
    """Return the exit status of a program that an exception ends."""
    match error:
        case typer.Exit():
            return error.exit_code
        case KeyboardInterrupt():
            return _INTERRUPTED
        case StoppedError():
            return _INTERRUPTED if error.by_hand else _TRY_AGAIN
        case InputError() | MemoryError() | OSError():
            return 2
        case ModuleNotFoundError() if missing_module(error):
            return 2
    return 1  # diverged, or a fault of the program


def report_failures(failed: Mapping[str, str]) -> None:
    """List failed hearts on stderr; exit status 1 if there are any.

    Args:
        failed: Heart → reason.
    """
    if not failed:
        return
    list_faults(f"{len(failed)} {'heart' if len(failed) == 1 else 'hearts'} failed", failed)
    raise typer.Exit(1)


def list_faults(heading: str, faults: Mapping[str, str]) -> None:
    """List hearts and what is wrong with them on stderr.

    Args:
        heading: What they have in common.
        faults: Heart → what is wrong.
    """
    typer.secho(f"{heading}:", fg="red", err=True)
    for fault in faults.values():
        typer.secho(f"  {fault}", fg="red", err=True)


def _complain(message: str) -> None:
    with suppress(OSError):  # stderr on a full disk: the exit status says what it can
        typer.secho(f"vecsetx: {message}", fg="red", err=True)
