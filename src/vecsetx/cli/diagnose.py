"""The command ``diagnose``."""

from pathlib import Path
from typing import Annotated

import typer


def diagnose(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder of a run, finished or still running."),
    ],
) -> None:
    """Report what went wrong in a training run.

    Also draws the run's curves: curves.html in its folder.
    The exit status is 1 if there is a fault.

    [dim]Example: vecsetx diagnose run/[/]
    """
    from vecsetx.commands.diagnose import diagnose_run

    if diagnose_run(run).findings:
        raise typer.Exit(1)
