"""One run at a time writes into a folder."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vecsetx.commands.progress import console
from vecsetx.errors import InputError
from vecsetx.files import clear_unfinished

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What file systems answer that know no locks, as Lustre mounted without ``flock``."""


@contextmanager
def only_writer(folder: Path, *subfolders: str) -> Iterator[None]:
    """Keep other runs from writing into a folder while the block runs.

    The folder is made if it is missing. The operating system holds the lock, so it ends with this
    process, even one that is killed. Files that a killed run left unfinished are removed, at the
    beginning and at the end. Where the file system knows no locks this is told, nobody is kept
    from writing, and nothing is removed.

    Args:
        folder: The folder.
        *subfolders: Those of its subfolders that the block writes into.

    Raises:
        InputError: Another run is writing into the folder.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".writing.lock"
    try:
        lock = FileLock(file, timeout=0, fallback_to_soft=False).acquire()
    except Timeout as error:
        raise InputError(
            f"{folder}: another run is writing into it; wait for its end, or choose another --out"
        ) from error
    except OSError as error:
        file.unlink(missing_ok=True)
        if error.errno not in _NO_LOCKS:
            raise
        console.print(
            f"[yellow]{folder}: its file system knows no locks ({error.strerror}); see to it "
            "yourself that no other run writes there[/]"
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
            file.unlink(missing_ok=True)  # while it is held: nobody can take hold of a removed one
            if not was_there:
                with suppress(OSError):
                    folder.rmdir()  # if nothing was written
