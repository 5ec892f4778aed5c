"""Annotations checked at run time, array shapes included.

jaxtyping's own decorator checks the arguments of every call twice and binds them to parameters, to
report errors in detail, which takes long (docs/lab-log.md has figures). Here beartype checks a call
once; where arrays are annotated it does so in a jaxtyping context, in which axes of one name have
one size, and not again for arrays of the same types and shapes. What is checked is the same.
"""

import inspect
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
        if not _ARRAY.search(repr(item.__annotations__)):
            return _when_called(beartype, item)
        return _when_called(_checked_once, item)

    return checked


def _when_called(check: Callable[..., Any], item: Callable[..., Any]) -> Callable[..., Any]:
    """Write the checks of a function when it is called first: most processes call few of them."""
    checked: Callable[..., Any] | None = None

    @wraps(item)
    def called(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        if checked is None:
            checked = check(item)
        return checked(*args, **kwargs)

    return called


def _checked_once(item: Callable[..., Any]) -> Callable[..., Any]:
    """Check the calls of a function, but none that looks like one that was right."""
    function, check_result = beartype(item), _result_check(item)
    right: dict[object, set[object]] = {}  # how arguments look → how their results look

    @wraps(item)
    def called(*args: Any, **kwargs: Any) -> Any:
        look = _look((args, tuple(kwargs), tuple(kwargs.values())) if kwargs else args)
        known = right.get(look) if look else None
        if known is None:
            with _decorate("context"):
                result = function(*args, **kwargs)
            if look:
                right[look] = {_look((result,))}
            return result
        result = item(*args, **kwargs)
        after = _look((result,))
        if after is None or after not in known:
            with _decorate("context"):
                check_result(result, args, kwargs)
            known.add(after)
        return result

    return called


def _result_check(item: Callable[..., Any]) -> Callable[..., None]:
    """Return a check of a function's result against its arguments, without calling it again."""
    signature = inspect.signature(item)
    parameters = ", ".join([*signature.parameters, "_result"])
    made: dict[str, Any] = {}
    exec(f"def same(*, {parameters}): return _result", made)  # beartype reads code, no signatures
    same = made["same"]
    same.__annotations__, same.__module__ = item.__annotations__, item.__module__
    checked = beartype(same)

    def check(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        checked(**bound.arguments, _result=result)

    return check


def _look(values: tuple[Any, ...]) -> tuple[object, ...] | None:
    """Return types and shapes of arrays, and what else decides whether annotations hold.

    None where there are containers other than tuples, whose content is not looked at.
    """
    look: list[object] = []
    for value in values:
        kind = type(value)
        form = _FORMS.get(kind) or _form_of(kind)
        look.append(value if form == "text" else kind)
        if form == "array":
            look += value.shape, value.dtype
        elif form == "tuple":
            if (inner := _look(value)) is None:
                return None
            look.append(inner)
        elif form == "container":
            return None
    return tuple(look)


_FORMS: dict[type, str] = {}


def _form_of(kind: type) -> str:
    """Return, and keep for next time, how values of a type are looked at."""
    forms = {"text": str, "tuple": tuple, "container": (list, dict, set, frozenset)}
    found = (form for form, types in forms.items() if issubclass(kind, types))
    _FORMS[kind] = "array" if hasattr(kind, "dtype") else next(found, "other")
    return _FORMS[kind]
