"""The command ``export``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.options import Dask, DataSetPath, Workers


def export(
    data: DataSetPath,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for one .npz file per heart.")
    ],
    workers: Workers = None,
    dask: Dask = None,
) -> CommandResult:
    """Export a data set as NPZ files, which prepare can read again.

    [dim]Example: vecsetx export data/ --out npz/[/]
    """
    from vecsetx.commands.export import export as run
    from vecsetx.terminal.next_step import print_next, typed
    from vecsetx.terminal.progress_bars import console

    failed = run(data, out, workers, dask)
    console.notice(f"the hearts are in {out}")
    print_next(typed("inspect", out))
    return CommandResult(lambda: _exported(data, out, failed), failed)


def _exported(data: Path, out: Path, failed: Mapping[str, str]) -> dict[str, Any]:
    """Return heart → its file, as plain data."""
    from vecsetx.data.dataset import DataSet

    names = [heart.name for heart in DataSet.read(data).hearts if heart.name not in failed]
    return {"hearts": {name: str(out / f"{name}.npz") for name in names}}
