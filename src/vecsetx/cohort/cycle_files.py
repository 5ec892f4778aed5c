"""What ``vecsetx reconstruct --frames`` writes of a whole cycle."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from vecsetx._version import __version__
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cine.cine import Cine
from vecsetx.cine.cycle import Cycle
from vecsetx.cine.muscle import uneven_muscle
from vecsetx.cine.order import short_names
from vecsetx.cohort.measuring import MeasuredHeart
from vecsetx.cohort.reconstructing_frames import (
    ReconstructedFrame,
    ReconstructingFrames,
    folder_of,
)
from vecsetx.data.sources import LabelMapSource
from vecsetx.files import write_json, write_text
from vecsetx.formats.label_maps import read_label_map
from vecsetx.formats.series import write_series
from vecsetx.inference.heart_files import HeartFile
from vecsetx.measures.heart_measures import in_order
from vecsetx.measures.measured import Measured, Measures
from vecsetx.report.cine_page import write_cine_page
from vecsetx.schemas import MEASURES, SUMMARY

__all__ = ["CYCLE_FILES", "cycle_files", "summary_of"]

_SERIES, _VOLUMES, _TABLE, _JSON = "heart.pvd", "volumes.csv", "cycle.csv", "cycle.json"
_LABELS, _PAGE = "labels.nii.gz", "heart.html"
CYCLE_FILES = (_SERIES, _VOLUMES, _TABLE, _JSON, _LABELS, _PAGE)
"""Files of a cycle, besides those of its frames and the summary."""

Frames = Mapping[int, ReconstructedFrame]
"""Number of a frame → what was made of it."""


def summary_of(
    sources: Sequence[LabelMapSource],
    cine: Cine,
    frames: Frames,
    cycle: Cycle,
    work: ReconstructingFrames,
) -> dict[str, Any]:
    """Return the content of ``summary.json``, with the files of the frames.

    Args:
        sources: The input.
        cine: Its frames.
        frames: Those that were reconstructed.
        cycle: Numbers of the cycle.
        work: How they were made.
    """
    options, first = work.options, next(iter(frames.values()))
    muscle = uneven_muscle({number: one.volumes for number, one in frames.items()})
    doubts = [doubt for doubt in (cine.doubt, muscle) if doubt]
    said = dict.fromkeys(
        (
            *doubts,
            *cine.remarks,
            *(remark for one in frames.values() for remark in one.remarks),
            *(f"frame {number}: {one.misfit}" for number, one in frames.items() if one.misfit),
        )
    )
    return {
        "schema": SUMMARY,
        "cycle": {
            "frames": cine.count,
            "step_ms": cine.step_ms,
            "reconstructed": list(frames),
            "unlabelled": list(cine.unlabelled),
            "left_out": {str(number): why for number, why in cine.left_out.items()},
            "end_diastole": cycle.end_diastole,
            "end_systole": cycle.end_systole,
            "numbers": _plain(cycle.numbers),
            "doubts": doubts,
        },
        "meshes": list(dict.fromkeys(name for one in frames.values() for name in one.structures)),
        "volumes": {str(number): _plain(one.volumes) for number, one in frames.items()},
        "misfit": next((one.misfit for one in frames.values() if one.misfit), None),
        "remarks": list(said),
        "seconds": {str(number): round(one.seconds, 2) for number, one in frames.items()},
        "files": {
            name: "mesh of a frame" if name.endswith(".vtp") else "label map of a frame"
            for one in frames.values()
            for name in one.files
        },
        "provenance": {
            "input": [str(source.path.resolve()) for source in sources],
            "model": work.model_name,
            "version": __version__,
            "space": options.space.upper(),
            "label_set": first.label_set,
            "surfaces": options.surfaces,
            "hidden": list(options.encode.hide),
            "seed": options.encode.seed,
            "refine": options.encode.refine,
        },
    }


def cycle_files(
    name: str,
    cine: Cine,
    frames: Frames,
    cycle: Cycle,
    summary: Mapping[str, Any],
    work: ReconstructingFrames,
) -> list[HeartFile]:
    """Return the files of a cycle.

    Args:
        name: The heart's name.
        cine: Its frames.
        frames: Those that were reconstructed.
        cycle: Numbers of the cycle.
        summary: As of :func:`summary_of`.
        work: How they were made.
    """
    times = {frame.number: frame.time_ms for frame in cine.frames}
    label_set = str(summary["provenance"]["label_set"]["name"])
    measured = MeasuredHeart(label_set, _of_cycle(cycle, times), tuple(summary["remarks"]))
    files = [
        HeartFile(
            _SERIES,
            "the meshes of all frames as a series: opens in ParaView",
            lambda path: write_text(path, _collection(frames, times)),
        ),
        HeartFile(
            _VOLUMES,
            "volumes over the cycle, ml",
            lambda path: write_text(path, _volumes(frames, cine, work.options.structures)),
        ),
        HeartFile(
            _TABLE,
            "end diastole, end systole, stroke volumes and ejection fractions",
            lambda path: write_text(path, _row(name, measured.measures)),
        ),
        HeartFile(
            _JSON,
            "the same, with the reason for each number that is unknown",
            lambda path: write_json(path, _as_measures(name, measured, summary)),
        ),
    ]
    if work.options.labels:
        files.append(
            HeartFile(
                _LABELS,
                "label map of all frames, 4-D: opens in 3D Slicer, ITK-SNAP, nibabel",
                lambda path: _write_labels(path, cine, frames, work.out),
            )
        )
    if work.options.page:
        files.append(
            HeartFile(
                _PAGE,
                "the heart beating in 3-D, and its volumes: opens in a browser",
                lambda path: write_cine_page(
                    path,
                    name,
                    {number: one.shown for number, one in frames.items() if one.shown},
                    times,
                    summary,
                ),
            )
        )
    return files


def _collection(frames: Frames, times: Mapping[int, float | None]) -> str:
    """Return a ParaView collection: times in ms, or numbers of frames where they are unknown."""
    timed = all(time is not None for time in times.values())
    unit = "milliseconds from the first frame" if timed else "number of the frame"
    names = list(dict.fromkeys(name for one in frames.values() for name in one.structures))
    lines = [
        '<?xml version="1.0"?>',
        f"<!-- timestep: {unit}; part: {', '.join(f'{k} {n}' for k, n in enumerate(names))} -->",
        '<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">',
        "  <Collection>",
    ]
    for number, one in frames.items():
        at = times[number] if timed else number
        for name in one.structures:
            file = quoteattr(f"{folder_of(number)}/{name}.vtp")
            part = names.index(name)
            lines.append(
                f'    <DataSet timestep="{at:.9g}" part="{part}" name="{name}" file={file}/>'
            )
    return "\n".join([*lines, "  </Collection>", "</VTKFile>", ""])


def _volumes(frames: Frames, cine: Cine, wanted: Sequence[str] | None) -> str:
    """Return a row per frame, with its file if each has one, and volumes of what is wanted."""
    columns = in_order(name for one in frames.values() for name in one.volumes)
    if wanted:
        own = {f"{name}_volume_ml" for name in wanted}
        columns = [column for column in columns if column in own]
    names = short_names([frame.source.path for frame in cine.frames])
    are_files = len({frame.source.path for frame in cine.frames}) > 1
    rows = [["frame", *["file"] * are_files, "time_ms", *columns]]
    for frame, name in zip(cine.frames, names, strict=True):
        volumes = frames[frame.number].volumes
        numbers = [_number(volumes, column) for column in columns]
        rows.append([str(frame.number), *[name] * are_files, _cell(frame.time_ms), *numbers])
    return _text(rows)


def _of_cycle(cycle: Cycle, times: Mapping[int, float | None]) -> Measures:
    found = dict(cycle.numbers)
    for name, number in (
        ("end_diastole", cycle.end_diastole),
        ("end_systole", cycle.end_systole),
    ):
        why = "" if number else cycle.numbers["LV_end_diastolic_ml"].reason
        at = times.get(number) if number else None
        found[f"{name}_frame"] = Measured(float(number) if number else math.nan, why)
        untimed = why or ("" if at is not None else "the file gives no times")
        found[f"{name}_time_ms"] = Measured(math.nan if at is None else at, untimed)
    return found


def _row(name: str, measures: Measures) -> str:
    return _text([["heart", *measures], [name, *(_number(measures, one) for one in measures)]])


def _as_measures(name: str, measured: MeasuredHeart, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers in the form of ``measures.json``."""
    source = ", ".join(summary["provenance"]["input"])
    return {
        "schema": MEASURES,
        "provenance": {"VecSetX": __version__, "model": summary["provenance"]["model"]},
        "hearts": {name: {"source": source, **measured.to_dict()}},
        "failed": {},
    }


def _write_labels(path: Path, cine: Cine, frames: Frames, out: Path) -> None:
    """Write the label maps of all frames as one; those left out are empty."""
    ids = LabelSet.from_dict(next(iter(frames.values())).label_set, str(path))
    first = cine.frames[0].source.stored
    assert first is not None  # the frames have been read
    maps = []
    for number in range(1, cine.count + 1):
        if number in frames:
            file = out / folder_of(number) / _LABELS
            maps.append(read_label_map(file, may_be_empty=True, names_matter=False))
        else:
            maps.append(LabelMap(0 * first.labels, first.affine))
    write_series(maps, path, cine.step_ms, ids.structures, ids, is_reconstruction=True)


def _plain(measures: Measures) -> dict[str, Any]:
    return {
        name: {"value": one.value if one.known else None, "reason": one.reason}
        for name, one in measures.items()
    }


def _number(measures: Measures, name: str) -> str:
    one = measures.get(name)
    return _cell(one.value if one is not None and one.known else None)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _text(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
