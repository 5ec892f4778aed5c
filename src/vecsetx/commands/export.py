"""``vecsetx export``: write a prepared data set as NPZ files."""

from pathlib import Path

from vecsetx.cohort.cohort_options import missing_here
from vecsetx.cohort.exporting import Exporting
from vecsetx.cohort.out_folder import results_folder
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.workers.for_each import open_workers
from vecsetx.workers.heart_work import Records

__all__ = ["export"]


def export(
    data: Path, out: Path, workers: int | None = None, dask: str | None = None
) -> dict[str, str]:
    """Write every heart of a data set as ``OUT/NAME.npz``.

    All files have the same labels, those of :meth:`DataSet.label_set`.

    Args:
        data: Folder of the data set.
        out: Folder for the files.
        workers: Number of processes; None for one per core.
        dask: Address of a Dask scheduler, whose workers are used instead.

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
    with results_folder(out), open_workers(workers, dask) as executor:
        work = Exporting(data.resolve(), out.resolve(), dataset.label_set())
        outcome = run_cohort("exporting hearts", work, hearts, Records.within(out), executor)
        here = {name: out / f"{name}.npz" for name in outcome.results}
    return outcome.failed | missing_here(here)
