"""The command line. Each command parses its options and calls :mod:`vecsetx.commands`.

The commands are imported inside the functions, because they load torch and VTK, for which
``--help`` should not wait.
"""

from typing import Annotated

import typer

from vecsetx._version import __version__
from vecsetx.cli import (
    calibrate,
    check,
    compare,
    demo,
    diagnose,
    doctor,
    evaluate,
    export,
    info,
    inspect,
    labels,
    measure,
    phantom,
    plan,
    prepare,
    reconstruct,
    shape,
    train,
    vary,
    volume_mesh,
)
from vecsetx.cli.calibrate_command import CalibrateCommand
from vecsetx.cli.failures import errors_in_one_line
from vecsetx.cli.help_options import Command, Commands
from vecsetx.cli.logs import warnings_on_terminal
from vecsetx.cli.options import FLAG
from vecsetx.cli.recipe_command import RecipeCommand
from vecsetx.cli.streams import robust_streams

__all__ = ["app", "main"]


app = typer.Typer(
    cls=Commands,
    help="Start with [bold]vecsetx inspect FILES[/]: what your label maps, masks or meshes hold, "
    "and how they would be read.\n\n"
    "Neural implicit models of the whole human heart: from label maps to smooth meshes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Run the command line; bad input becomes one line and exit status 2."""
    with robust_streams(), warnings_on_terminal(), errors_in_one_line():
        _COMMAND(prog_name="vecsetx")  # also as python -m vecsetx


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", metavar=FLAG, help="Print the version.")
    ] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


# --help lists the commands in this order, the usual order of their use.
_PANELS = {
    "Data": (
        inspect.inspect,
        labels.labels,
        prepare.prepare,
        check.check,
        vary.vary,
        export.export,
        phantom.phantom,
    ),
    "Training": (plan.plan, train.train, diagnose.diagnose),
    "Use": (
        reconstruct.reconstruct,
        evaluate.evaluate,
        calibrate.calibrate,
        compare.compare,
        measure.measure,
        volume_mesh.volume_mesh,
    ),
    "Looking": (info.info, demo.demo, doctor.doctor),
}
_CLASSES = {
    plan.plan: RecipeCommand,
    train.train: RecipeCommand,
    calibrate.calibrate: CalibrateCommand,
}
for _panel, _of_panel in _PANELS.items():
    for _command in _of_panel:
        app.command(cls=_CLASSES.get(_command, Command), rich_help_panel=_panel)(_command)

app.add_typer(shape.shape, name="shape", rich_help_panel="Populations")

_COMMAND = typer.main.get_command(app)
