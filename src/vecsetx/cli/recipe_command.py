"""Commands whose arguments change a recipe: they know what ``--steps 100`` means."""

import difflib
from itertools import pairwise
from typing import Any

from vecsetx.cli.help_options import Command
from vecsetx.errors import InputError

__all__ = ["RecipeCommand"]


class RecipeCommand(Command):
    """A command with overrides, which answers ``--steps 100`` with ``training.steps=100``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Args:
            ctx: The context, of a class that depends on typer's version.
            args: The words of the command line; those parsed are removed.

        Raises:
            InputError: An option does not exist, but a recipe has one of a similar name.
        """
        known = {option for each in self.get_params(ctx) for option in each.opts}
        for word, following in pairwise([*args, ""]):
            option, equals, value = word.partition("=")
            if option == "--":
                break
            if option.startswith("--") and option not in known:
                _refuse(option, value if equals else following, known)
        return super().parse_args(ctx, args)


def _refuse(option: str, value: str, known: set[str]) -> None:
    """Raise an :class:`InputError` that names the overrides meant, if there are any."""
    from vecsetx.recipe import overrides_like

    meant = overrides_like(option.removeprefix("--"), "" if value.startswith("--") else value)
    if meant:
        near = difflib.get_close_matches(option, known, n=1, cutoff=0.8)
        raise InputError(f"no option {option}; write {' or '.join([*near, *meant])}")
