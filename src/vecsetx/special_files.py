"""Pipes, sockets and devices in place of files: reading them may never end."""

import os
from pathlib import Path

from vecsetx.errors import InputError

__all__ = ["check_no_device"]


def check_no_device(path: Path) -> None:
    """Check that a path that exists is a file or a folder.

    Raises:
        InputError: It is, or links to, something else.
    """
    # These are false, where a path's methods raise, for names that are too long.
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise InputError(f"{path}: a pipe or device, no file; copy what it gives into a file")
