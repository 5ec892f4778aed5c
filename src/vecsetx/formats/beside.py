"""Files that another file names: only those in its own folder are read."""

from contextlib import suppress
from pathlib import Path

from vecsetx.errors import InputError
from vecsetx.special_files import check_no_device

__all__ = ["check_beside"]


def check_beside(file: Path, header: Path) -> None:
    """Check that a file lies in the folder of the header that names it, or in one below.

    Otherwise a header that a stranger wrote could have any file of this machine read. Where the
    header is a link, the folder that it leads to counts, too.

    Args:
        file: The file, which need not exist.
        header: The header.

    Raises:
        InputError: The file lies elsewhere, is a link that leads elsewhere, or a pipe or device.
    """
    folders = {header.parent.resolve(), header.resolve().parent}
    check_no_device(file)
    with suppress(ValueError, OSError, RuntimeError):  # no path, or a link to itself
        if any(file.resolve().is_relative_to(folder) for folder in folders):
            return
    shown = name if len(name := str(file)) <= 200 else f"{name[:200]}…"
    raise InputError(
        f"{header}: its voxels are in {shown!a}, outside of its folder; copy that file beside "
        "it, and correct the header or the link"
    )
