"""The command ``check``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.options import DataSetPath, Workers


def check(
    data: DataSetPath,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder for check.json and check.html (default: DATA/check)."
        ),
    ] = None,
    heart: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Check only this heart, in detail: check-NAME.html."),
    ] = None,
    pictures: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Number of hearts with pictures, most doubtful first.",
            min=0,
        ),
    ] = 40,
    workers: Workers = None,
) -> None:
    """Check a data set for problems.

    The exit status is 1 if a heart is unfit for training.

    [dim]Example: vecsetx check data/[/]
    """
    from vecsetx.commands.check import check as run
    from vecsetx.terminal.tables import print_check, print_heart_check

    folder = out or data / "check"
    result = run(data, folder, heart=heart, workers=workers, pictures=pictures)
    (print_heart_check if heart else print_check)(result)
    page = folder / (f"check-{heart}.html" if heart else "check.html")
    if page.exists():
        typer.echo(f"see {page}")
    if not result["passed"]:
        raise typer.Exit(1)
