"""The command ``info``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.command_result import CommandResult


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
) -> CommandResult:
    """Say what a run, model, data set, … is, and what to type next.

    The exit status is 1 if it is damaged, or if VecSetX did not write it.

    [dim]Example: vecsetx info run/[/]
    """
    from vecsetx.commands.info import describe
    from vecsetx.errors import InputError
    from vecsetx.terminal.info_table import print_info

    try:
        entry = describe(path)
    except InputError as error:
        line = " ".join(part.strip() for part in str(error).splitlines())
        typer.secho(f"vecsetx: {line}", fg="red", err=True)
        raise typer.Exit(1) from error
    print_info(entry)
    return CommandResult(lambda: entry)
