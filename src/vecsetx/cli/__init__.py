"""The command line. Each command parses its options and hands over to :mod:`vecsetx.commands`.

Those are imported inside the functions: they bring torch and VTK, for which ``--help`` should not
wait.
"""

from typing import Annotated

import typer

from vecsetx._version import __version__
from vecsetx.cli import (
    calibrate,
    check,
    compare,
    demo,
    evaluate,
    export,
    phantom,
    prepare,
    reconstruct,
    train,
)
from vecsetx.cli.failures import told_in_one_line
from vecsetx.cli.logs import warnings_on_terminal

app = typer.Typer(
    help="Neural implicit models of the whole human heart: label maps in, smooth meshes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Run the command line; bad input becomes one line and exit status 2."""
    with warnings_on_terminal(), told_in_one_line():
        app()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


# In the order in which they are used, and in which --help lists them.
for _command in (
    phantom.phantom,
    prepare.prepare,
    check.check,
    export.export,
    train.train,
    reconstruct.reconstruct,
    evaluate.evaluate,
    calibrate.calibrate,
    compare.compare,
    demo.demo,
):
    app.command()(_command)
