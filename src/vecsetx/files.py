"""Atomic writes: a file is written completely or not at all."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vecsetx.errors import InputError

__all__ = [
    "check_writable",
    "clear_unfinished",
    "folder_written_whole",
    "in_words",
    "write_json",
    "write_text",
    "written_whole",
]

_OF_WRITING = {
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "mount it for writing",
}
_OF_ANY = {
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EACCES: "check the permissions of the file and its folder",
    errno.EPERM: "check the permissions of the file and its folder",
    errno.ELOOP: "remove the link, or choose another --out",
    errno.EEXIST: "it is a file where a folder is needed, so choose another --out",
}
"""Number of a system's error → remedy: errors that only writing has, and others."""

_UNFINISHED = ".vecsetx-unfinished-"
"""Prefix of the names of temporary files and folders."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends normally.

    The temporary name keeps the file's extensions, for writers that choose the format by them. If
    the block raises, ``path`` stays unchanged and the temporary file is removed. Missing folders
    are created.

    Raises:
        OSError: The file cannot be written (disk full, no permission). The error names ``path``,
            not the temporary file.
    """
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = "".join(path.suffixes)
        handle, name = tempfile.mkstemp(prefix=_UNFINISHED, suffix=suffix, dir=path.parent)
        os.close(handle)
        unfinished = Path(name)
        yield unfinished
        # On the disk before it takes the place: a crash must not leave an empty file.
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
        # mkstemp gives access to the owner only: grant the usual rights.
        unfinished.chmod(0o666 & ~_umask())
        os.replace(unfinished, path)  # atomic, since both are in one folder
    except OSError as error:
        # A failed write names no file, other failures name the temporary one.
        if error.filename is None or Path(str(error.filename)).name.startswith(_UNFINISHED):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder`` that replaces it when the block ends normally.

    A former folder is removed with all that is in it. If the block raises, ``folder`` stays
    unchanged and the temporary one is removed. A process that is killed between the two renames at
    the end leaves no ``folder``, never a half-written one.

    Raises:
        OSError: The folder or a file in it cannot be written. The error names ``folder`` or the
            file in it, not the temporary ones.
    """
    unfinished = former = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
        yield unfinished
        for file in unfinished.rglob("*"):
            if file.is_file():
                with open(file, "rb") as stream:
                    os.fsync(stream.fileno())
        # mkdtemp gives access to the owner only: grant the usual rights.
        unfinished.chmod(0o777 & ~_umask())
        if os.path.lexists(folder):
            former = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
            os.rename(folder, former / "former")  # no system replaces a folder that is not empty
        try:
            os.rename(unfinished, folder)
        except OSError:
            if former is not None:
                os.rename(former / "former", folder)
            raise
    except OSError as error:
        at = Path(str(error.filename))
        if unfinished is not None and at.is_relative_to(unfinished):
            at = folder / at.relative_to(unfinished)
        elif error.filename is None or at.name.startswith(_UNFINISHED):
            at = folder
        error.filename, error.filename2 = str(at), None
        raise
    finally:
        for left in (unfinished, former):
            if left is not None:
                shutil.rmtree(left, ignore_errors=True)


def check_writable(path: Path) -> None:
    """Check, before the work whose result it is to hold, that a file could be written.

    Raises:
        InputError: There is a folder of that name, or its own folder is a file or cannot be
            written.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    there = next(folder for folder in path.parents if os.path.lexists(folder))
    if not there.is_dir():
        raise InputError(f"{path}: {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{path}: {there} cannot be written; choose another folder")


def in_words(error: OSError) -> str:
    """Return the file, what happened, and the remedy, in one line.

    Args:
        error: An error of reading or writing.
    """
    where = error.filename2 or error.filename
    what = error.strerror or str(error)
    number = error.errno or 0
    if number in _OF_WRITING:
        what = f"could not be written: {what[:1].lower()}{what[1:]}"
        remedy = f"{_OF_WRITING[number]} or choose another --out"
    else:
        remedy = _OF_ANY.get(number, "")
    return f"{where}: " * bool(where) + what + f"; {remedy}" * bool(remedy)


def clear_unfinished(*folders: Path) -> None:
    """Remove what killed writers left in folders: temporary files and folders (not in subfolders).

    This would also remove the files of a writer that is still running: call it only where no other
    process writes.
    """
    for folder in folders:
        for file in folder.glob(f"{_UNFINISHED}*"):
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) completely or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write plain data as indented JSON, completely or not at all.

    Raises:
        ValueError: The data contain NaN or infinity, which JSON does not have.
    """
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def _umask() -> int:
    # The only way to read the mask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
