"""The folder for a command's results: not one that holds a data set, model or run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecsetx.errors import InputError
from vecsetx.manifest.recording import recorded_in
from vecsetx.workers.lock import only_writer

__all__ = ["check_out", "results_folder", "written_by_one"]

_MARKS = {"dataset.json": "a data set", "model.json": "a model", "recipe.yaml": "a run"}


@contextmanager
def results_folder(out: Path) -> Iterator[None]:
    """Keep other runs from writing into a folder for results while the block runs.

    Raises:
        InputError: As :func:`check_out` and :func:`written_by_one`.
    """
    check_out(out)
    with written_by_one(out):
        yield


@contextmanager
def written_by_one(folder: Path, *subfolders: str) -> Iterator[None]:
    """Keep other runs from writing into a folder, whose manifest records this one.

    Args:
        folder: The folder.
        *subfolders: Names of the subfolders that the block writes into.

    Raises:
        InputError: As :func:`~vecsetx.workers.lock.only_writer` and
            :func:`~vecsetx.manifest.recording.recorded_in`.
    """
    with only_writer(folder, *subfolders), recorded_in(folder):
        yield


def check_out(out: Path, own: str = "") -> None:
    """Check that results will not lie among the files of something else, which would hide it.

    Args:
        out: The folder for the results.
        own: The file of those that the command itself writes, if any.

    Raises:
        InputError: The folder is a data set, a model or a run, or one that these keep their own
            files in.
    """
    above = out.absolute().parent
    if (above / "model.json").exists() or (
        out.name == "hearts" and (above / "dataset.json").exists()
    ):
        raise InputError(
            f"{out}: belongs to the {'model' if (above / 'model.json').exists() else 'data set'} "
            f"{above}, so results would lie among its files; choose another --out"
        )
    for mark, what in _MARKS.items():
        if mark != own and (out / mark).exists():
            raise InputError(
                f"{out}: is {what}, so results would lie among its files; choose another --out, "
                f"such as {out / 'results'}"
            )
