"""Commands whose arguments change a recipe: they know what ``--steps 100`` means."""

from typing import Any

from vecsetx.cli.help_options import Command
from vecsetx.suggestions import nearest

__all__ = ["RecipeCommand"]


class RecipeCommand(Command):
    """A command with overrides, which answers ``--steps 100`` with ``training.steps=100``."""

    def remedy(self, ctx: Any, option: str, value: str, known: set[str]) -> str:
        """Name the overrides that are meant, if a recipe has an option of a similar name."""
        from vecsetx.recipe import overrides_like

        meant = overrides_like(option.removeprefix("--"), "" if value.startswith("--") else value)
        if not meant:
            return super().remedy(ctx, option, value, known)
        near = nearest(option, sorted(known), most=1, alike=0.8)
        return f"write {' or '.join([*near, *meant])}"
