"""The command ``check``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.numbers import number
from vecsetx.cli.options import FLAG, Dask, DataSetPath, Workers
from vecsetx.errors import InputError
from vecsetx.ranges import Number


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
        number(
            Number.PICTURES,
            metavar="N",
            help="Number of hearts with pictures, most doubtful first.",
        ),
    ] = 40,
    strict: Annotated[
        bool,
        typer.Option("--strict", metavar=FLAG, help="Exit status 1 also if a heart needs a look."),
    ] = False,
    workers: Workers = None,
    dask: Dask = None,
) -> CommandResult:
    """Check a data set for problems.

    Each heart is fit for training; fit, but to be looked at; or unfit. The exit status is 1 if a
    heart is unfit.

    [dim]Example: vecsetx check data/[/]
    """
    from vecsetx.commands.check import check as run
    from vecsetx.terminal.check_tables import print_check, print_heart_check
    from vecsetx.terminal.next_step import print_next, typed, unused_folder

    idle = {
        "--workers": workers,
        "--dask": dask,
        "--pictures": None if pictures == 40 else pictures,
    }
    given = [option for option, value in idle.items() if value is not None]
    if heart is not None and given:
        raise InputError(f"{given[0]}: changes nothing with --heart {heart}; leave it out")
    folder = out or data / "check"
    result = run(data, folder, heart=heart, workers=workers, pictures=pictures, dask=dask)
    if heart is None:
        print_check(result, folder / "check.html")
        if result["state"] != "unfit":
            print_next(typed("train", data, "--out", unused_folder("run")))
    else:
        page = folder / f"check-{heart}.html"
        print_heart_check(result, page if page.exists() else None)
    return CommandResult(
        lambda: result, fault=result["state"] == "unfit" or (strict and result["state"] == "look")
    )
