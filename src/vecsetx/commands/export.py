"""``vecsetx export``: write a prepared data set as NPZ files."""

from functools import partial
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.errors import InputError
from vecsetx.sampling.npz.layout import write_npz
from vecsetx.sampling.samples import SamplesFile
from vecsetx.terminal.progress_bars import steps
from vecsetx.workers.for_each import for_each_heart, open_workers
from vecsetx.workers.lock import only_writer

__all__ = ["export"]


def export(data: Path, out: Path, workers: int | None = None) -> dict[str, str]:
    """Write every heart of a data set as ``OUT/NAME.npz``.

    All files have the same labels, those of :meth:`DataSet.label_set`.

    Args:
        data: Folder of the data set.
        out: Folder for the files.
        workers: Number of processes; None for one per core.

    Returns:
        Heart → reason, for hearts that failed.

    Raises:
        InputError: There is no data set, a file would replace the source of a heart, ``out`` cannot
            be written, or another run is writing into it.
    """
    dataset = DataSet.read(data)
    hearts = {heart.name: heart for heart in dataset.hearts}
    sources = {Path(heart.source).resolve() for heart in dataset.hearts}
    for name in hearts:
        if (file := out / f"{name}.npz").resolve() in sources:
            raise InputError(
                f"{file}: the data set was made from this file, which would be replaced; choose "
                "another --out"
            )
    with only_writer(out), open_workers(workers) as executor:
        write = partial(_export, data=data, out=out, label_set=dataset.label_set())
        with steps("exporting hearts", len(hearts), "hearts") as progress:
            outcome = for_each_heart(write, hearts, executor, progress)
    return outcome.failed


def _export(heart: HeartEntry, data: Path, out: Path, label_set: LabelSet) -> None:
    """Write one heart. Runs in a worker."""
    write_npz(SamplesFile(data / heart.file).read(), out / f"{heart.name}.npz", label_set)
