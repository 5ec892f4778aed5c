"""Pipes, sockets and devices in place of files: reading them may never end."""

from pathlib import Path

from vecsetx.errors import InputError

__all__ = ["check_no_device"]


def check_no_device(path: Path) -> None:
    """Check that a path that exists is a file or a folder.

    Raises:
        InputError: It is, or links to, something else.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: a pipe or device, no file; copy what it gives into a file")
