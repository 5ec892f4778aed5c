"""The command ``calibrate``, which answers its former form: the model before the data set."""

from pathlib import Path
from typing import Any

from vecsetx.cli.help_options import Command
from vecsetx.cli.model_option import refuse_model_as_input
from vecsetx.errors import InputError

__all__ = ["CalibrateCommand"]


class CalibrateCommand(Command):
    """A command with one data set, which says what to type instead of several arguments."""

    allow_extra_args = True

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Args:
            ctx: The context, of a class that depends on typer's version.

        Raises:
            InputError: There are several arguments, or a model in place of the data set.
        """
        data = ctx.params["data"]
        refuse_model_as_input("calibrate", [data, *map(Path, ctx.args)], ctx.params["out"])
        if ctx.args:
            raise InputError(
                f"{ctx.args[0]}: calibrate takes one data set, and {data} is given already; leave "
                "one of the two out"
            )
        return super().invoke(ctx)
