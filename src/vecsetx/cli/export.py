"""The command ``export``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.failures import report_failures
from vecsetx.cli.options import Dask, DataSetPath, Workers


def export(
    data: DataSetPath,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for one .npz file per heart.")
    ],
    workers: Workers = None,
    dask: Dask = None,
) -> None:
    """Export a data set as NPZ files, which prepare can read again.

    [dim]Example: vecsetx export data/ --out npz/[/]
    """
    from vecsetx.commands.export import export as run
    from vecsetx.terminal.next_step import print_next, typed

    failed = run(data, out, workers, dask)
    typer.echo(f"the hearts are in {out}")
    print_next(typed("inspect", out))
    report_failures(failed)
