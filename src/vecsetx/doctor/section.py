"""One part of the report: facts, and what is wrong with them."""

import getpass
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Section", "without_user"]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report.

    Attributes:
        title: What it is about.
        facts: Name → text.
        problems: What is wrong, each with its remedy.
    """

    title: str
    facts: Mapping[str, str]
    problems: tuple[str, ...] = field(default=())


def without_user(text: str) -> str:
    """Return a text with ``~`` in place of the home folder, and ``USER`` of the user's name."""
    try:
        home = str(Path.home())
    except RuntimeError:  # a user without a home folder
        home = "/"
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?=/|\W|$)", "~", text)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user that has no name
        return text
    # Only as a whole word: a user may be called "in", and "root" says nothing of a person.
    return text if user == "root" else re.sub(rf"(?<![\w]){re.escape(user)}(?![\w])", "USER", text)
