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

    The exit status is 1 if there is a fault. Also draws the run's curves as curves.html in its
    folder.

    [dim]Example: vecsetx diagnose run/[/]
    """
    from vecsetx.commands.diagnose import diagnose_run

    if diagnose_run(run).findings:
        raise typer.Exit(1)
