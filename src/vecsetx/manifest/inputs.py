"""The files that a command reads: found once, hashed once, unless an earlier run hashed them."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from vecsetx.manifest.contents import InputFile

__all__ = ["hash_of_file", "hashed", "main_file", "seen", "unchanged"]

_MAIN_FILES = ("dataset.json", "space.json", "scores.json")
"""Files that hold the hashes, or all of the content, of the folder that they lie in."""


def main_file(path: Path) -> Path | None:
    """Return the file that stands for a path: itself, or the main file of a folder.

    A data set's ``dataset.json`` has the hashes of its hearts, and a shape space's ``space.json``
    that of its arrays, so a large data set costs no more than a small one.
    """
    if path.is_file():
        return path
    return next((path / name for name in _MAIN_FILES if (path / name).is_file()), None)


def seen(files: Iterable[Path]) -> list[InputFile]:
    """Return files as they are now, not hashed yet; without those that are missing or no files."""
    found = []
    for file in files:
        try:
            status = os.stat(file)
        except (OSError, ValueError):  # whoever reads it says so
            continue
        if stat.S_ISREG(status.st_mode):
            path = str(file.absolute())
            found.append(InputFile(path, status.st_size, status.st_mtime_ns, None))
    return found


def hashed(
    files: Iterable[InputFile], known: Mapping[tuple[str, int, int], str]
) -> list[InputFile]:
    """Return files with their hashes.

    Args:
        files: The files.
        known: Path, size and time of change → hash of files that an earlier run has read; those are
            not read again.
    """
    return [
        replace(
            file,
            sha256=known.get((file.path, file.bytes, file.modified_ns))
            or hash_of_file(Path(file.path)),
        )
        for file in files
    ]


def unchanged(file: InputFile) -> InputFile:
    """Return a file, without its hash if it is no longer as it was."""
    now = seen([Path(file.path)])
    same = bool(now) and (now[0].bytes, now[0].modified_ns) == (file.bytes, file.modified_ns)
    return file if same else replace(file, sha256=None)


def hash_of_file(path: Path) -> str | None:
    """Return the SHA-256 of a file's content; None if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
