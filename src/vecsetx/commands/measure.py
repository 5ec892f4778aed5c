"""``vecsetx measure``: volumes, axes, walls, valves and vessels of hearts."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.measuring import MeasuredHeart, Measuring
from vecsetx.cohort.out_folder import results_folder
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.idle_options import check_idle
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.limits import VOXELS
from vecsetx.measures.heart_measures import in_order
from vecsetx.schemas import MEASURES
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting
from vecsetx.workers.for_each import open_workers
from vecsetx.workers.heart_work import Records

__all__ = ["Measurements", "measure"]


class Measurements(NamedTuple):
    """What ``measure`` found.

    Attributes:
        hearts: Heart → its numbers.
        failed: Heart → why it could not be measured.
    """

    hearts: Mapping[str, MeasuredHeart]
    failed: Mapping[str, str]


def measure(
    inputs: Sequence[Path],
    out: Path,
    label_set: LabelSet | None = None,
    space: str = "lps",
    units: str = "mm",
    trust_names: bool = False,
    most_voxels: int = VOXELS,
    workers: int | None = None,
    dask: str | None = None,
) -> Measurements:
    """Measure hearts; write ``measures.csv`` and ``measures.json`` into ``out``.

    Args:
        inputs: Hearts with volumes (label maps, masks, closed meshes, or results of
            ``reconstruct``): files, or folders of them.
        out: Folder for the results.
        label_set: What ids mean; None: what the files say.
        space: Axes of meshes whose files do not say.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        most_voxels: Most voxels of a label map.
        workers: Number of processes; None for one per core.
        dask: Address of a Dask scheduler, whose workers are used instead.

    Raises:
        InputError: An input cannot be found, ``out`` cannot be written, another run is writing into
            it, or no heart could be measured.
    """
    with results_folder(out):
        with waiting("finding hearts"):
            hearts = find_hearts(
                inputs, label_set, space, units, trust_names=trust_names, most_voxels=most_voxels
            )
        check_idle(hearts.values(), label_set is not None, space, units, trust_names)
        with open_workers(1 if len(hearts) == 1 and not dask else workers, dask) as executor:
            found = run_cohort(
                "measuring hearts", Measuring(), hearts, Records.within(out), executor
            )
        if not found.results:
            raise InputError("\n".join(found.failed.values()))
        write_text(out / "measures.csv", _table(found.results))
        write_json(
            out / "measures.json",
            {
                "schema": MEASURES,
                "provenance": {"VecSetX": __version__},
                "hearts": {
                    name: {"source": str(hearts[name].path), **heart.to_dict()}
                    for name, heart in found.results.items()
                },
                "failed": found.failed,
            },
        )
    return Measurements(found.results, found.failed)


def _table(hearts: Mapping[str, MeasuredHeart]) -> str:
    """Return a row per heart, with empty cells for what is unknown or not there."""
    columns = in_order(name for heart in hearts.values() for name in heart.measures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["heart", *columns])
    for name, heart in hearts.items():
        writer.writerow([name, *(_cell(heart, column) for column in columns)])
    return text.getvalue()


def _cell(heart: MeasuredHeart, column: str) -> str:
    number = heart.measures.get(column)
    return f"{number.value:.6g}" if number is not None and number.known else ""
