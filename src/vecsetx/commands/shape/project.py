"""``vecsetx shape project``: where hearts lie in a shape space, and how unusual they are."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.out_folder import results_folder
from vecsetx.cohort.placing import PlacedHeart, Placing
from vecsetx.cohort.working_space import WorkingSpace
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.idle_options import check_idle
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.schemas import PLACEMENT
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting
from vecsetx.workers.for_each import workers_or_here
from vecsetx.workers.heart_work import Records

__all__ = ["PlacedHearts", "place_hearts"]

_MODES = 10
"""Coordinates in the table; ``placement.json`` has all."""


@dataclass(frozen=True, slots=True)
class PlacedHearts:
    """What ``shape project`` found.

    Attributes:
        hearts: Heart → where it lies.
        failed: Heart → why it could not be placed.
        cohort: Number of hearts that they are compared with.
    """

    hearts: Mapping[str, PlacedHeart]
    failed: Mapping[str, str]
    cohort: int


def place_hearts(
    space: Path,
    model: Path,
    inputs: Sequence[Path],
    out: Path,
    label_set: LabelSet | None = None,
    cohort: CohortOptions | None = None,
) -> PlacedHearts:
    """Place hearts in a space; write ``placement.csv`` and ``placement.json``.

    Args:
        space: Folder of the space.
        model: Folder of its model.
        inputs: Hearts: files, or folders of them.
        out: Folder for the results.
        label_set: What ids mean; None: what the files say.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: There is no such space or model, they do not fit each other, an input cannot be
            found, ``out`` cannot be written, or no heart could be placed.
    """
    cohort = cohort or CohortOptions()
    cohort.check()
    with results_folder(out):
        with waiting("reading the model"):
            shared, loaded = WorkingSpace.of(space, model, cohort.device, cohort.is_here)
        with waiting("finding hearts"):
            hearts = find_hearts(inputs, label_set, usual=loaded.trained.label_set)
        check_idle(hearts.values(), label_set is not None)
        with workers_or_here(cohort.workers, cohort.dask) as workers:
            work = Placing(shared)
            found = run_cohort("placing hearts", work, hearts, Records.within(out), workers)
        if not found.results:
            raise InputError("\n".join(found.failed.values()))
        write_text(out / "placement.csv", _table(found.results))
        content = {
            "schema": PLACEMENT,
            "provenance": {
                "VecSetX": __version__,
                "space": str(space),
                "model": loaded.saved.model,
                "leading_modes": loaded.saved.space.leading,
            },
            "hearts": {
                name: {"source": str(hearts[name].path), **work.to_record(placed)}
                for name, placed in found.results.items()
            },
            "failed": found.failed,
        }
        write_json(out / "placement.json", content)
    return PlacedHearts(found.results, found.failed, len(loaded.saved.cohort.names))


def _table(hearts: Mapping[str, PlacedHeart]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    modes = min(_MODES, min(len(placed.placement.coordinates) for placed in hearts.values()))
    writer.writerow(
        [
            *("heart", "distance", "distance_percentile", "residual_mm", "residual_percentile"),
            *("nearest_heart", "nearest_mm", "without"),
            *(f"mode{mode + 1:02d}_sd" for mode in range(modes)),
        ]
    )
    for name, placed in hearts.items():
        found = placed.placement
        numbers = [found.distance, found.distance_percentile]
        numbers += [found.residual_mm, found.residual_percentile]
        writer.writerow(
            [
                name,
                *(f"{number:.6g}" for number in numbers),
                found.nearest[0],
                f"{found.nearest_mm[0]:.3f}",
                " ".join(placed.without),
                *(f"{one:.6g}" for one in found.coordinates[:modes]),
            ]
        )
    return text.getvalue()
