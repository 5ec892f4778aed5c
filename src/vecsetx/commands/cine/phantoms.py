"""``vecsetx phantom --frames``: write synthetic hearts that beat, with their true volumes."""

import csv
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom.beating import PERIOD_MS, BeatingPhantom, contraction_at, volumes_ml
from vecsetx.anatomy.phantom.grid_cuts import cut_structures
from vecsetx.anatomy.phantom.phantom_heart import STRUCTURES
from vecsetx.cine.cycle import cycle_of
from vecsetx.cohort.out_folder import results_folder
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.formats.series import write_series
from vecsetx.measures.measured import Measured
from vecsetx.progress import counted_parts
from vecsetx.terminal.progress_bars import steps
from vecsetx.workers.for_each import for_each_heart, open_workers

__all__ = ["make_beating_phantoms", "write_beating_phantom"]


def make_beating_phantoms(
    out: Path,
    count: int,
    seed: int,
    size: int,
    spacing_mm: float,
    frames: int,
    workers: int | None = None,
    scale: float = 1.0,
    cuts: dict[str, tuple[str, ...]] | None = None,
) -> list[Path]:
    """Write ``phantom000.nii.gz`` …, ``truth.csv`` and ``truth.json`` into ``out``.

    The truth is of whole hearts, even where the grid cuts them: volumes per frame, end diastole,
    end systole, stroke volumes and ejection fractions.

    Args:
        out: The folder.
        count: Number of hearts. A larger cohort starts with the same hearts.
        seed: Seed of the shapes.
        size: Voxels along each edge of a label map.
        spacing_mm: Edge of a voxel, mm.
        frames: Frames of a cycle, two or more.
        workers: Number of processes; None for one per core.
        scale: Size of the hearts relative to the usual one.
        cuts: Receives heart → structures that the grid's edge cuts, of hearts with any.

    Returns:
        The label maps.

    Raises:
        InputError: A heart could not be written.
    """
    write = partial(
        write_beating_phantom, out, seed=seed, size=size, spacing_mm=spacing_mm, frames=frames,
        scale=scale,
    )  # fmt: skip
    hearts = {f"phantom{index:03d}": index for index in range(count)}
    with (
        results_folder(out),
        open_workers(workers) as executor,
        steps("making beating phantoms", count, "hearts") as progress,
    ):
        outcome = for_each_heart(write, hearts, executor, progress)
        if outcome.failed:
            raise InputError("\n".join(outcome.failed.values()))
        write_text(out / "truth.csv", _table(outcome.results))
        write_json(out / "truth.json", outcome.results)
    if cuts is not None:
        cut = {name: tuple(truth["cut"]) for name, truth in outcome.results.items()}
        cuts |= {name: structures for name, structures in cut.items() if structures}
    return [out / f"{name}.nii.gz" for name in outcome.results]


def write_beating_phantom(
    out: Path,
    index: int,
    seed: int,
    size: int,
    spacing_mm: float,
    frames: int,
    scale: float = 1.0,
) -> dict[str, Any]:
    """Write the ``index``-th random heart as ``phantom<index>.nii.gz``, 4-D.

    The arguments are as in :func:`make_beating_phantoms`.

    Returns:
        The truth as plain data: a table per frame with its number, time, contraction and volumes;
        end diastole and end systole; the numbers of :func:`~vecsetx.cine.cycle.cycle_of`; and the
        structures that the grid's edge cuts in any frame.
    """
    beating = BeatingPhantom.random(np.random.default_rng([seed, index]), scale)
    hearts = beating.cycle(frames)
    maps = [heart.voxelize(size, spacing_mm) for heart in counted_parts(hearts, "frame")]
    ids, step_ms = label_set("default"), PERIOD_MS / frames
    write_series(maps, out / f"phantom{index:03d}.nii.gz", step_ms, STRUCTURES, ids)
    volumes = [
        {f"{name}_volume_ml": ml for name, ml in volumes_ml(heart).items()} for heart in hearts
    ]
    cycle = cycle_of(
        {
            number: {name: Measured(ml) for name, ml in one.items()}
            for number, one in enumerate(volumes, start=1)
        }
    )
    return {
        "frames": [
            {
                "frame": number + 1,
                "time_ms": number * step_ms,
                "contraction": contraction_at(number, frames),
                **one,
            }
            for number, one in enumerate(volumes)
        ],
        "end_diastole": cycle.end_diastole,
        "end_systole": cycle.end_systole,
        "numbers": {name: one.value for name, one in cycle.numbers.items()},
        "cut": list(dict.fromkeys(name for one in maps for name in cut_structures(one))),
    }


def _table(truth: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a row per heart and frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    first = next(iter(truth.values()))["frames"][0]
    writer.writerow(["heart", *first])
    for name, found in truth.items():
        for row in found["frames"]:
            writer.writerow([name, *(f"{value:.6g}" for value in row.values())])
    return text.getvalue()
