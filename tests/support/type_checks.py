"""Annotations checked at run time, array shapes included.

jaxtyping's own decorator checks the arguments of every call twice and binds them to parameters, to
report errors in detail, which takes long (docs/lab-log.md has figures). Here beartype checks a call
once; where arrays are annotated it does so in a jaxtyping context, in which axes of one name have
one size. What is checked is the same.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import jaxtyping
from beartype import beartype

__all__ = ["install"]

_decorate = jaxtyping.jaxtyped
_ARRAY = re.compile(r"\b(Bool|Float|Int|Integer|Num|Real|Shaped|UInt)\d*\[")


def install(package: str) -> None:
    """Check every function of a package that is imported from now on."""
    jaxtyping.jaxtyped = _jaxtyped  # the import hook puts this name before every definition
    jaxtyping.install_import_hook(package, "beartype.beartype")


def _jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    def checked(item: Any) -> Any:
        if isinstance(item, type):
            return _decorate(typechecker=typechecker)(item)
        function = beartype(item)
        if not _ARRAY.search(repr(item.__annotations__)):
            return function

        @wraps(item)
        def in_context(*args: Any, **kwargs: Any) -> Any:
            with _decorate("context"):
                return function(*args, **kwargs)

        return in_context

    return checked
