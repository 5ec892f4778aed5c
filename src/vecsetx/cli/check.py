"""The command ``check``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.options import Workers


def check(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for check.json and check.html; DATA/check.")
    ] = None,
    heart: Annotated[
        str | None, typer.Option(help="Look at this heart only, in depth: check-HEART.html.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(help="Hearts shown in pictures at most, the doubtful ones first.", min=0)
    ] = 40,
    workers: Workers = None,
) -> None:
    """Look whether a data set is fit to learn from; exit status 1 if a heart is not.

    [dim]vecsetx check data/[/]
    """
    from vecsetx.commands.check import check as run
    from vecsetx.commands.tables import print_check, print_heart_check

    folder = out or data / "check"
    result = run(data, folder, heart=heart, workers=workers, pictures=pictures)
    (print_heart_check if heart else print_check)(result)
    page = folder / (f"check-{heart}.html" if heart else "check.html")
    if page.exists():
        typer.echo(f"see {page}")
    if not result["passed"]:
        raise typer.Exit(1)
