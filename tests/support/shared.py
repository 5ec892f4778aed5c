"""What the first test that needs it makes, for the tests of all of xdist's workers."""

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

root: Path | None = None
"""The folder that all workers share; ``conftest.py`` sets it."""


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that ``make`` filled, here or in another worker; tests do not change it."""
    assert root is not None
    folder, made = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder
