"""The command ``export``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.options import Workers


def export(
    data: Annotated[Path, typer.Argument(help="A prepared data set.")],
    out: Annotated[Path, typer.Option(help="Folder for one .npz file per heart.")],
    workers: Workers = None,
) -> None:
    """Write a data set's hearts in the NPZ layout of VecSetX; prepare reads such files back.

    [dim]vecsetx export data/ --out npz/[/]
    """
    from vecsetx.commands.export import export as run

    failed = run(data, out, workers)
    typer.echo(f"the hearts are in {out}")
    report_failures(failed)
