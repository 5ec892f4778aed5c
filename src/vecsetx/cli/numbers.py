"""Options that take a number, which is checked before the command reads anything."""

from typing import Any

import typer

from vecsetx.errors import InputError
from vecsetx.ranges import Range

__all__ = ["number"]


def number(within: Range, *names: str, **options: Any) -> Any:
    """Return an option that takes a number of a range, for an annotation.

    Whatever is not in the range (words, NaN, infinity) is refused in one line that names the
    option, with exit status 2.

    Args:
        within: The range.
        *names: The option's names, if they are not the parameter's.
        **options: As for :func:`typer.Option`.
    """

    # typer finds these by their places; its types for them are those of no object.
    def checked(context: Any, param: Any, value: Any) -> Any:
        if not isinstance(value, str):
            return value  # the default
        try:
            return within.parse(value)
        except ValueError as error:
            raise InputError(f"{param.opts[-1]} {value}: {error}") from None

    # typer's own conversion would refuse words in other words, and admit NaN. So it only shows the
    # range in --help: the lower end, as upper ends of counts would say nothing.
    return typer.Option(*names, parser=_as_typed, callback=checked, min=within.lowest, **options)


def _as_typed(value: Any) -> Any:
    return value
