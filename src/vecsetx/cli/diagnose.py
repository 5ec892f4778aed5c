"""The command ``diagnose``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.command_result import CommandResult


def diagnose(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder of a run, finished or still running."),
    ],
) -> CommandResult:
    """Report what went wrong in a training run.

    Also draws the run's curves: curves.html in its folder.
    The exit status is 1 if there is a fault.

    [dim]Example: vecsetx diagnose run/[/]
    """
    from vecsetx.commands.diagnose import diagnose_run
    from vecsetx.runs.run_folder import is_finished, next_command
    from vecsetx.terminal.next_step import print_next

    found = diagnose_run(run)
    if (run / "recipe.yaml").exists():  # a journal may lie alone
        print_next(next_command(run, is_finished(run), bool(found.findings), found.enough))
    return CommandResult(lambda: {"path": str(run), **asdict(found)}, fault=bool(found.findings))
