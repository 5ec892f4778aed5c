"""Locks that keep two runs from writing into the same folder."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vecsetx.errors import InputError
from vecsetx.files import clear_unfinished

__all__ = ["only_writer", "waiting_lock"]

_log = logging.getLogger(__name__)

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of file systems without locks, such as Lustre mounted without ``flock``."""

_PATIENCE_S = 3600.0
"""How long a worker waits for another one that is working on the same heart."""


@contextmanager
def only_writer(folder: Path, *subfolders: str) -> Iterator[None]:
    """Keep other runs from writing into a folder while the block runs.

    The folder is created if it is missing, and removed at the end if it is still empty. Commands
    enter the block before they do any work, so that a folder that cannot be written is noticed in
    time. The operating system holds the lock, so it ends with this process, even if the process is
    killed. Unfinished files of killed runs are removed, at the beginning and at the end. On a file
    system without locks a warning is logged, other runs can still write, and nothing is removed.

    Args:
        folder: The folder.
        *subfolders: Names of the subfolders that the block writes into.

    Raises:
        InputError: Another run is writing into the folder, it is a file, it cannot be written, a
            link to a folder lies in it, or the lock's file is a hard link.
    """
    with ExitStack() as entered:
        entered.callback(_remove_empty, _make(folder))
        _check_no_links(folder, folder)
        file = folder / ".writing.lock"
        _check_own(file)
        try:
            # A soft lock is only a file, which a killed run would leave behind.
            lock = FileLock(file, timeout=0, fallback_to_soft=False).acquire()
        except Timeout as error:
            raise InputError(
                f"{folder}: another run is writing into it{_by(file)}; wait until it ends, or "
                "choose another --out"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise _unwritable(folder, error) from error
            file.unlink(missing_ok=True)
            _log.warning(
                "%s: the file system has no locks (%s); make sure that no other run writes there",
                folder,
                error.strerror,
            )
            yield
            return
        with suppress(OSError):  # on a full disk the lock holds, too, but names nobody
            file.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        written = [folder, *(folder / name for name in subfolders)]
        entered.enter_context(lock)
        # While the lock is held, so that no other run can lock the removed file.
        entered.callback(file.unlink, missing_ok=True)
        entered.callback(clear_unfinished, *written)
        clear_unfinished(*written)
        yield


@contextmanager
def waiting_lock(file: Path, what: str) -> Iterator[None]:
    """Wait until no other process holds a lock, and hold it while the block runs.

    The lock ends with this process, and its file is removed. On a file system without locks nobody
    waits; :func:`only_writer` has logged that.

    Args:
        file: The lock's file, in an existing folder.
        what: What is locked, for messages.

    Raises:
        InputError: Another process has held it for an hour.
    """
    try:
        lock = FileLock(file, timeout=_PATIENCE_S, fallback_to_soft=False).acquire()
    except Timeout as error:
        raise InputError(
            f"{what}: another worker has been at it for over {_PATIENCE_S / 60:.0f} min; end that "
            "worker, and run again"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        file.unlink(missing_ok=True)
        yield
        return
    with lock:
        try:
            yield
        finally:
            file.unlink(missing_ok=True)  # while the lock is held: those who wait notice


def _make(folder: Path) -> list[Path]:
    """Make a folder and those that it lies in; return the new ones, the innermost first.

    Raises:
        InputError: It cannot be made or written.
    """
    new = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        raise InputError(
            f"{folder}: {'this' if there == folder else there} is a file, but results need a "
            "folder; choose another --out"
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return new


def _check_no_links(folder: Path, out: Path) -> None:
    """Refuse links to folders: what is written into one would land outside, or in another heart.

    Links to files may stay, since written files replace them. Two levels are enough: what a command
    writes deeper has a lock of its own.
    """
    # Folders of somebody else may not be listed.
    with suppress(PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and entry.is_dir():
                raise InputError(
                    f"{entry.path}: a link to a folder, so results might be written outside of "
                    f"{out}; move the link away, or choose another --out"
                )
            if folder == out and entry.is_dir():
                _check_no_links(Path(entry.path), out)


def _check_own(lock: Path) -> None:
    """Refuse a hard link to another file, which a lock would empty."""
    if os.path.lexists(lock) and os.lstat(lock).st_nlink > 1:
        raise InputError(
            f"{lock}: a hard link to another file, which a lock would overwrite; remove the link, "
            "or choose another --out"
        )


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()  # only if nothing was written into it


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"{folder}: cannot be written: {(error.strerror or str(error)).lower()}; choose another "
        "--out, or change its permissions"
    )


def _by(file: Path) -> str:
    """Name the process that holds a lock, in brackets; empty if it has not said so."""
    with suppress(OSError, UnicodeDecodeError):
        if said := file.read_text(encoding="utf-8")[:100].strip():
            return f" ({said})"
    return ""
