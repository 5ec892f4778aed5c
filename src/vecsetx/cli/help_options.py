"""Commands whose ``--help`` option shows no type, and which say when they load or are stopped."""

import time
from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperGroup

from vecsetx.cli.interrupts import resuming_text, stopped_text
from vecsetx.cli.options import FLAG
from vecsetx.errors import StoppedError

__all__ = ["Command", "Commands"]


class Command(TyperCommand):
    """A command."""

    def invoke(self, ctx: Any) -> Any:
        """Load what the command needs, which takes seconds, and run it.

        Args:
            ctx: The context, of a class that depends on typer's version.

        Raises:
            StoppedError: Ctrl-C, or a signal that training notices, stopped it.
        """
        began = time.time()
        try:
            return self._loaded(ctx)
        except KeyboardInterrupt:
            text = stopped_text(str(self.name), ctx.params, began)
            raise StoppedError(text, by_hand=True) from None
        except StoppedError as error:
            go_on = resuming_text() if self.name == "train" else f"repeat vecsetx {self.name}"
            raise StoppedError(f"{error}; {go_on}", error.by_hand) from error

    def _loaded(self, ctx: Any) -> Any:
        # The output of `labels` is a file, and it loads at once.
        if self.name != "labels":
            from vecsetx.terminal.progress_bars import waiting

            with waiting("loading"):
                import_module(f"vecsetx.commands.{self.name}")
        return super().invoke(ctx)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, if there is one."""
        return _without_type(super().get_help_option(ctx))


class Commands(TyperGroup):
    """The group of all commands."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Args:
            ctx: The context, of a class that depends on typer's version.

        Raises:
            StoppedError: It was stopped.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # while its arguments were looked at
            raise StoppedError("stopped before it began; nothing was written", True) from None

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, if there is one."""
        return _without_type(super().get_help_option(ctx))


def _without_type(option: Any) -> Any:
    option.metavar = FLAG  # the option is typer's own
    return option
