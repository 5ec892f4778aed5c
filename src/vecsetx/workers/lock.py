"""Locks that keep two runs from writing into the same folder."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vecsetx.errors import InputError
from vecsetx.files import clear_unfinished

__all__ = ["only_writer"]

_log = logging.getLogger(__name__)

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of file systems without locks, such as Lustre mounted without ``flock``."""


@contextmanager
def only_writer(folder: Path, *subfolders: str) -> Iterator[None]:
    """Keep other runs from writing into a folder while the block runs.

    The folder is created if it is missing. The operating system holds the lock, so it ends with
    this process, even if the process is killed. Unfinished files of killed runs are removed, at the
    beginning and at the end. On a file system without locks a warning is logged, other runs can
    still write, and nothing is removed.

    Args:
        folder: The folder.
        *subfolders: Names of the subfolders that the block writes into.

    Raises:
        InputError: Another run is writing into the folder.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".writing.lock"
    try:
        # A soft lock is only a file, which a killed run would leave behind.
        lock = FileLock(file, timeout=0, fallback_to_soft=False).acquire()
    except Timeout as error:
        raise InputError(
            f"{folder}: another run is writing into it; wait until it ends, or choose another --out"
        ) from error
    except OSError as error:
        file.unlink(missing_ok=True)
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning(
            "%s: the file system has no locks (%s); make sure that no other run writes there",
            folder,
            error.strerror,
        )
        yield
        return
    written = [folder, *(folder / name for name in subfolders)]
    with lock:
        try:
            clear_unfinished(*written)
            yield
        finally:
            clear_unfinished(*written)
            # While the lock is held, so that no other run can lock the removed file.
            file.unlink(missing_ok=True)
            if not was_there:
                with suppress(OSError):
                    folder.rmdir()  # only if nothing was written into it
