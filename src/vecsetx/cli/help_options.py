"""Commands whose ``--help`` option shows no type."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from vecsetx.cli.options import FLAG

__all__ = ["Command", "Commands"]


class Command(TyperCommand):
    """A command."""

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
