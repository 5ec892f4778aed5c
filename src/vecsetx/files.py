"""Writing files whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_UNFINISHED = ".unfinished-"
"""How the names of temporary files begin."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place once the block ends well.

    The temporary name keeps the file's extensions, so that writers that look at them work. If the
    block raises, ``path`` stays as it was and the temporary file is removed. What is wrong with
    the temporary file (the disk is full, the folder may not be written) is told of ``path``.
    """
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = "".join(path.suffixes)
        handle, name = tempfile.mkstemp(prefix=_UNFINISHED, suffix=suffix, dir=path.parent)
        os.close(handle)
        unfinished = Path(name)
        yield unfinished
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
        unfinished.chmod(0o666 & ~_umask())
        os.replace(unfinished, path)
    except OSError as error:
        # A failed write names no file at all, others name one that nobody else knows of.
        if error.filename is None or Path(str(error.filename)).name.startswith(_UNFINISHED):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


def clear_unfinished(*folders: Path) -> None:
    """Remove from folders, not from what lies deeper, the temporary files of killed writers.

    A living writer's would be removed, too: call it where nobody else writes.
    """
    for folder in folders:
        for file in folder.glob(f"{_UNFINISHED}*"):
            file.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write plain data as indented JSON, whole or not at all. NaN is refused: it is no JSON."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
