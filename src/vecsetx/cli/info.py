"""The command ``info``."""

from pathlib import Path
from typing import Annotated

import typer


def info(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A run, a saved model, a data set, scores, a comparison, a reconstruction, "
            "exported hearts, a shape space, its hearts, measures, or a heart's samples "
            "(.safetensors).",
        ),
    ],
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the description as JSON.")
    ] = None,
) -> None:
    """Say what a run, model, data set, … is, and what to type next.

    The exit status is 1 if it is damaged, or if VecSetX did not write it.

    [dim]Example: vecsetx info run/[/]
    """
    from vecsetx.commands.info import describe
    from vecsetx.errors import InputError
    from vecsetx.files import check_writable, write_json
    from vecsetx.terminal.info_table import print_info

    if json:
        check_writable(json)
    try:
        entry = describe(path)
    except InputError as error:
        line = " ".join(part.strip() for part in str(error).splitlines())
        typer.secho(f"vecsetx: {line}", fg="red", err=True)
        raise typer.Exit(1) from error
    if json:
        write_json(json, entry)
    print_info(entry)
