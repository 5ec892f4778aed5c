"""A mesh as a folder of files, with a README.txt that says what each of them holds."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vecsetx._version import __version__
from vecsetx.errors import InputError
from vecsetx.files import folder_written_whole
from vecsetx.solver_files.solver_mesh import SolverMesh

__all__ = ["SolverFolder", "check_replaceable", "file_names", "files_of", "solver_folder"]

_README = "README.txt"

_OURS = "Written by VecSetX"
"""How the README of a folder begins that a later run may replace."""

_FILES = "Files:"
"""The line before the README's list of files: a name, a tab, and what it holds."""

_AXES = {
    "lps": "LPS (x to the patient's left, y to the back, z to the head)",
    "ras": "RAS (x to the patient's right, y to the front, z to the head)",
}


class SolverFolder:
    """The folder while it is written.

    Attributes:
        path: The folder; it gets its name when it is whole.
        held: Its files, relative to it, and what each holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: dict[str, str] = {}

    def file(self, name: str, holds: str) -> Path:
        """Return the path of a file that is about to be written.

        Args:
            name: The file, relative to the folder.
            holds: What it holds, for the README.
        """
        self.held[name] = holds
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        return path


@contextmanager
def solver_folder(
    folder: Path, whole: SolverMesh, solver: str, unit: str, space: str, notes: Sequence[str]
) -> Iterator[SolverFolder]:
    """Yield a folder for a solver's files; it appears with its README when the block ends normally.

    Args:
        folder: The folder. A former result there is replaced.
        whole: The mesh.
        solver: Name of the solver, for the README.
        unit: Unit of the coordinates.
        space: Axes of the coordinates, ``lps`` or ``ras``.
        notes: What else a user has to know, a paragraph each.

    Raises:
        InputError: The folder holds other files than those of a former result.
        OSError: A file cannot be written completely.
    """
    check_replaceable(folder)
    with folder_written_whole(folder) as unfinished:
        written = SolverFolder(unfinished)
        yield written
        regions = zip(whole.ids, whole.names, strict=True)
        paragraphs = [
            f"{_OURS} {__version__}. The next run replaces this folder, unless it holds other "
            "files than those below.",
            f"A mesh for {solver}. Coordinates are in {unit}, axes are {_AXES[space]}.",
            *notes,
            "\n".join(["Regions:", *(f"{number}\t{name}" for number, name in regions)]),
            "\n".join([_FILES, *(f"{name}\t{holds}" for name, holds in written.held.items())]),
        ]
        (unfinished / _README).write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")


def files_of(folder: Path) -> list[Path]:
    """Return the files that a folder's README names, and the README; empty if it is not ours."""
    readme = folder / _README
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if not text.startswith(_OURS):
        return []
    _, _, listed = text.partition(f"\n{_FILES}\n")
    return [readme, *(folder / line.partition("\t")[0] for line in listed.splitlines())]


def check_replaceable(folder: Path) -> None:
    """Check that nothing is lost if a folder is replaced.

    Raises:
        InputError: It is a file, or holds other files than those of a former result.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: a folder of that name is to be written; move the file away")
    ours = set(files_of(folder))
    there = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    others = sorted(path.relative_to(folder).as_posix() for path in there if path not in ours)
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(
            f"{folder}: would be replaced, but holds files that this command has not written "
            f"({others[0]}{more}); move them elsewhere, or choose another --out"
        )


def file_names(names: Sequence[str]) -> list[str]:
    """Return a name for files for each name: lowercase words joined by ``_``, no two alike."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"
        candidate, count = plain, 1
        while candidate in found:
            count += 1
            candidate = f"{plain}_{count}"
        found.append(candidate)
    return found
