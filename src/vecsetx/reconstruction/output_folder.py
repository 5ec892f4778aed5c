"""A folder that holds the files of one run: those that an earlier run wrote are removed."""

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from vecsetx.anatomy.structures import structure_names
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.plain_data import read_json
from vecsetx.workers.lock import only_writer

__all__ = [
    "CONTOURS",
    "SHIFTS",
    "SHIFTS_PICTURE",
    "SUMMARY",
    "VIEW_FILES",
    "check_foreign",
    "check_foreign_names",
    "check_unmixed",
    "input_of",
    "one_run_s_files",
    "other_hearts",
]

SUMMARY = "summary.json"
"""Written last; its ``files`` are the names of all others that the run wrote."""

CONTOURS, SHIFTS, SHIFTS_PICTURE = "views/contours.csv", "views/shifts.json", "views/shifts.png"
VIEW_FILES = (CONTOURS, SHIFTS, SHIFTS_PICTURE)
"""Files of a heart that was put together from views."""

_NAMES = frozenset(
    {
        "heart.glb",
        "heart.html",
        "interfaces.vtp",
        "labels.nii.gz",
        "inferred.nii.gz",
        "labels.ctbl",
        "labels.itksnap.txt",
    }
)
_OF_CYCLE = frozenset({"heart.pvd", "volumes.csv", "cycle.csv", "cycle.json"})
"""Files of a heart's cycle, besides those of its frames."""

_OF_FRAME = re.compile(r"frames/\d{3,}/([^/]+)")

_MESHES = frozenset({".vtp", ".stl", ".ply", ".obj", ".mtl"})
"""Files of one structure, with its name."""


def check_foreign(folder: Path, structures: Sequence[str], extension: str) -> None:
    """Check that a reconstruction replaces no files but those of an earlier one.

    Args:
        folder: The folder, which may be missing.
        structures: Names of the structures whose meshes may be written.
        extension: Format of the meshes.

    Raises:
        InputError: A file of another origin, such as an input, has the name of a result.
    """
    endings = (extension, "mtl") if extension == "obj" else (extension,)
    meshes = (f"{name}.{ending}" for name in structures for ending in endings)
    check_foreign_names(folder, _NAMES.union(meshes))


def check_foreign_names(folder: Path, names: Collection[str]) -> None:
    """Check that files with some names, if they are there, are those of an earlier reconstruction.

    Raises:
        InputError: One is not.
    """
    new = set(names) - _earlier_files(folder / SUMMARY)
    if foreign := [name for name in sorted(new) if os.path.lexists(folder / name)]:
        raise InputError(
            f"{folder / foreign[0]}: no earlier reconstruction wrote this file, and it would be "
            "replaced; choose another --out, or move the file"
        )


def input_of(folder: Path) -> str | None:
    """Return which input a folder's ``summary.json`` names; None without one."""
    try:
        return str(read_json(folder / SUMMARY)["provenance"]["input"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_unmixed(out: Path, single: str | None) -> None:
    """Check that a folder for results will not hold a single heart and several, which it hides.

    What reads such a folder takes it for the single heart, and passes over the others.

    Args:
        out: The folder, which may be missing.
        single: The name of the run's only heart; None for several hearts.

    Raises:
        InputError: It would.
    """
    if single is None:
        if (out / SUMMARY).is_file():
            raise InputError(
                f"{out}: holds the result of a single heart, and what reads this folder would find "
                "no other; choose another --out for several"
            )
        return
    if others := (other_hearts(out, []) if out.is_dir() else []):
        raise InputError(
            f"{out}: holds a folder of results per heart (such as {others[0]}), and what reads it "
            f"would find only that of a single heart; choose another --out, such as {out / single}"
        )


def other_hearts(out: Path, folders: Collection[Path]) -> list[str]:
    """Return the hearts in a folder for results that only earlier runs have reconstructed, sorted.

    Args:
        out: The folder, with a folder per heart.
        folders: Those of the hearts of this run.
    """
    return sorted(f.name for f in out.iterdir() if (f / SUMMARY).is_file() and f not in folders)


@contextmanager
def one_run_s_files(
    folder: Path, names: Collection[str], locked: bool = False, read: Collection[Path] = ()
) -> Iterator[None]:
    """Prepare a folder for files that the block writes, :data:`SUMMARY` last.

    No other run may write there meanwhile. What an earlier run wrote itself, by the ``files`` of
    its summary, is removed unless it is written again; all other files stay. Until the block writes
    the new summary, the old one is replaced by ``{"unfinished": true, "files": …}`` with the names
    of both runs. So if the block is killed, the next run knows what to remove, and nobody takes the
    mixture for a result.

    Args:
        folder: The folder, made if it is missing.
        names: Names of the files that the block writes, besides the summary.
        locked: Whether the caller keeps other runs from writing there.
        read: Files that the run reads, which stay even if an earlier run wrote them.

    Raises:
        InputError: Another run is writing into the folder.
        OSError: A file cannot be written or removed.
    """
    with nullcontext() if locked else only_writer(folder):
        inputs = {file.resolve() for file in read}
        earlier = _earlier_files(folder / SUMMARY)
        earlier = {name for name in earlier if (folder / name).resolve() not in inputs}
        write_json(folder / SUMMARY, {"unfinished": True, "files": sorted({*earlier, *names})})
        for name in sorted(earlier - set(names)):
            (folder / name).unlink()
        with suppress(OSError):  # it is missing, or holds other files
            (folder / CONTOURS).parent.rmdir()
        yield


def _earlier_files(summary: Path) -> set[str]:
    """Return the names of the files of an earlier run that are still in the summary's folder.

    The summary may have been changed by anyone. So a name counts only if this command writes files
    of that name, which excludes paths elsewhere, and only as long as it names a file proper, not a
    link. Linked folders were refused before (:func:`~vecsetx.workers.lock.only_writer`).
    """
    try:
        content = read_json(summary)
    except (OSError, ValueError):
        return set()
    names = content.get("files") if isinstance(content, dict) else None
    if not isinstance(names, (list, dict)):
        return set()
    return {name for name in names if _is_ours(name) and _is_file(summary.parent, name)}


def _is_ours(name: object) -> bool:
    if not isinstance(name, str):
        return False
    if name in _OF_CYCLE:
        return True
    if of_frame := _OF_FRAME.fullmatch(name):
        name = of_frame[1]
    stem, dot, extension = name.partition(".")
    return name in (*_NAMES, *VIEW_FILES) or (
        stem in structure_names() and dot + extension in _MESHES
    )


def _is_file(folder: Path, name: str) -> bool:
    *folders, _ = Path(name).parts
    try:
        if any(folder.joinpath(*folders[: k + 1]).is_symlink() for k in range(len(folders))):
            return False
        return stat.S_ISREG((folder / name).lstat().st_mode)
    except OSError:
        return False
