"""What a command ends with, and what is printed of it: ``--quiet`` and ``--json``."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer

from vecsetx._version import __version__
from vecsetx.cli.failures import report_failures
from vecsetx.launcher import is_first_rank

__all__ = ["CommandResult", "ended", "json_of", "printing"]

_HALVES = re.compile("[\ud800-\udfff]")
"""Surrogates: halves of characters, as Python reads bytes of a file's name that are no UTF-8."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command ends with.

    Attributes:
        content: Returns what ``--json`` prints as ``result``: plain data.
        failed: Heart → reason; any of them makes the exit status 1.
        fault: Whether the exit status is 1 without a heart that failed.
    """

    content: Callable[[], Any]
    failed: Mapping[str, str] = field(default_factory=dict)
    fault: bool = False

    @classmethod
    def of_file(
        cls, path: Path, failed: Mapping[str, str] | None = None, fault: bool = False
    ) -> "CommandResult":
        """Return a result whose content is that of the JSON file which the command wrote.

        Args:
            path: The file.
            failed: Heart → reason.
            fault: Whether the exit status is 1 without a heart that failed.
        """
        return cls(partial(json_of, path), failed or {}, fault)


def json_of(path: Path) -> Any:
    """Return the content of a JSON file that this command has just written, of whatever size."""
    return json.loads(path.read_text("utf-8"))


@contextmanager
def printing(quiet: bool, as_json: bool) -> Iterator[None]:
    """Print what the options ask for, while the block runs.

    Args:
        quiet: Print no progress; beside JSON, no tables either.
        as_json: Print on standard error whatever goes to standard output, which is left to
            :func:`ended`.
    """
    with _on_stderr() if as_json else nullcontext():
        # Imported here, it takes the colours that standard error can show.
        from vecsetx.terminal.progress_bars import console

        before = console.shown
        console.shown = ("remarks" if as_json else "results") if quiet else "all"
        try:
            yield
        finally:
            console.shown = before


def ended(command: str, result: CommandResult, as_json: bool) -> None:
    """Print a command's result as JSON if that is wanted, and then which hearts failed.

    Args:
        command: The command's name.
        result: What it ended with.
        as_json: Whether the result is printed.

    Raises:
        typer.Exit: Hearts failed, or the result has a fault; exit status 1.
    """
    if as_json and is_first_rank():
        document = {
            "command": command,
            "version": __version__,
            "result": result.content(),
            "failed": dict(result.failed),
        }
        typer.echo(_as_text(document))
    report_failures(result.failed)
    if result.fault:
        raise typer.Exit(1)


def _as_text(document: Mapping[str, Any]) -> str:
    r"""Return a document as JSON, in ASCII, so that any terminal can show it.

    A file's name may have bytes that are no UTF-8. Python reads each as half a character, which
    other readers of JSON refuse; so the byte stands there as in ``\xff``.
    """
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    text = _HALVES.sub(lambda half: f"\\\\x{ord(half[0]) & 0xFF:02x}", text)
    return json.dumps(json.loads(text), indent=2)


@contextmanager
def _on_stderr() -> Iterator[None]:
    """Send standard output to standard error: of Python, of libraries and of workers."""
    sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(output, 1)
        os.close(output)
