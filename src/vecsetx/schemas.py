"""Schema versions: what a file's entry ``schema`` says, and which files this version reads.

The number of a kind of file rises when an earlier VecSetX could not read it, or would take it for
something else; so an added entry raises it only where unknown entries are rejected. Kinds of files
with a module of their own keep their numbers there; those that several modules write and read have
theirs here.
"""

from collections.abc import Mapping
from pathlib import Path

from vecsetx._version import __version__
from vecsetx.errors import InputError

__all__ = [
    "COMPARISON",
    "MANIFEST_SCHEMA",
    "MEASURES",
    "NEW_HEARTS",
    "PLACEMENT",
    "SCORES",
    "SPACE",
    "SUMMARY",
    "check_schema",
    "schema_of",
]

SCORES = 1
"""Version of ``scores.json``."""

COMPARISON = 1
"""Version of ``compare.json``."""

SUMMARY = 1
"""Version of ``summary.json``, of a heart or of a cycle."""

SPACE = 1
"""Version of a shape space's ``space.json`` and arrays."""

MANIFEST_SCHEMA = 1
"""Version of ``manifest.json``."""

MEASURES = 1
"""Version of ``measures.json`` and ``cycle.json``."""

NEW_HEARTS = 1
"""Version of the ``cohort.json`` of new hearts."""

PLACEMENT = 1
"""Version of ``placement.json``."""


def schema_of(content: object) -> object:
    """Return the schema version of a file; 1 for files from before they had one.

    Args:
        content: The file's content; anything, as anybody may have written it.
    """
    return content.get("schema", 1) if isinstance(content, Mapping) else 1


def check_schema(path: Path, found: object, known: int, remedy: str) -> None:
    """Check that a file has the schema version that this version of VecSetX reads.

    Args:
        path: The file, for the message.
        found: Its schema version; anything, as anybody may have written it.
        known: The version that is read.
        remedy: What to do about a file of an earlier version.

    Raises:
        InputError: It has another.
    """
    if isinstance(found, int) and found > known:
        raise InputError(
            f"{path}: schema {found}, this version reads {known}: a later VecSetX than "
            f"{__version__} wrote it; update with pip install --upgrade vecsetx"
        )
    if found != known or isinstance(found, bool):
        raise InputError(f"{path}: schema {found}, this version reads {known}; {remedy}")
