"""Commands whose ``--help`` option shows no type, and which say that they are loading."""

from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperGroup

from vecsetx.cli.options import FLAG

__all__ = ["Command", "Commands"]


class Command(TyperCommand):
    """A command."""

    def invoke(self, ctx: Any) -> Any:
        """Load what the command needs, which takes seconds, and run it.

        Args:
            ctx: The context, of a class that depends on typer's version.
        """
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

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, if there is one."""
        return _without_type(super().get_help_option(ctx))


def _without_type(option: Any) -> Any:
    option.metavar = FLAG  # the option is typer's own
    return option
