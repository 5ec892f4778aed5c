"""Names that become names of files: of hearts, for instance. This module alone says which are safe.

A name may come from a file that a stranger wrote. A path in place of a name, such as
``../../notes``, would have VecSetX write outside its output folder.
"""

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["Name", "RelativePath", "check_name", "natural_key"]

_NAME_BYTES = 200
"""Longest name in UTF-8; file systems take 255 with the extension."""

_UNSAFE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of control characters, of bytes that are no UTF-8, and of ends of lines."""

_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Changes of the writing direction, which make a name look like another."""

_SEPARATORS = frozenset("/\\")

_COUNTED = re.compile(r"(\D*)(\d*)", re.ASCII)
"""The parts of a name: text, and the number behind it."""


def check_name(name: str) -> str:
    """Return a name that is safe as the name of a file.

    Raises:
        ValueError: It is empty or too long, begins with a dot or a dash (a hidden file, an
            option), or has a separator of folders or an unprintable character.
    """
    problem = None
    if not name or len(name.encode(errors="replace")) > _NAME_BYTES:
        problem = f"a name has 1 to {_NAME_BYTES} bytes"
    elif name[0] in ".-":
        problem = f"a name does not begin with {name[0]!r}"
    elif found := [sign for sign in name if sign in _SEPARATORS]:
        problem = f"a name has no {found[0]!r}"
    elif found := [sign for sign in name if _is_unsafe(sign)]:
        problem = f"a name has no unprintable characters such as {found[0]!a}"
    if problem:
        shown = ascii(name if len(name) <= 80 else name[:80] + "…")
        raise ValueError(f"unsafe name {shown}: {problem}")
    return name


def natural_key(name: str) -> list[tuple[str, int]]:
    """Return a key by which names sort as people count: ``case2`` before ``case10``."""
    return [(text, int(digits or 0)) for text, digits in _COUNTED.findall(name)]


def _is_unsafe(sign: str) -> bool:
    return sign in _DIRECTIONS or unicodedata.category(sign) in _UNSAFE


def _check_relative(path: str) -> str:
    windows = PureWindowsPath(path)
    if not path or windows.drive or windows.root or "\0" in path:
        raise ValueError(f"{path[:80]!a} is no path within the folder")
    if ".." in (*windows.parts, *PurePosixPath(path).parts):
        raise ValueError(f"{path[:80]!a} leads out of the folder")
    return path


Name = Annotated[str, AfterValidator(check_name)]
"""A name from a file, checked when it is read."""

RelativePath = Annotated[str, AfterValidator(_check_relative)]
"""A path from a file, which leads to no other folder than the file's own and those in it."""
