"""The frames of a cine: label maps of one heart over its cycle, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cine.frame_numbers import named_frames
from vecsetx.cine.order import order_remark
from vecsetx.cine.reach import short_cavities
from vecsetx.cine.same_heart import unlike_the_others
from vecsetx.data.label_set_choice import label_set_of
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.formats.series import LabelSeries, read_series
from vecsetx.formats.unpacking import check_voxel_count
from vecsetx.progress import counted_parts

__all__ = ["Cine", "CineFrame", "read_cine"]

_SAME_MM = 1e-3
"""Affines agree if they differ by no more than this."""

_CHAMBER = "LV"
"""What ejection fractions are about: a frame without it is left out if others show it."""


@dataclass(frozen=True, slots=True)
class CineFrame:
    """One frame.

    Attributes:
        number: Its place in the file, or among the files, from 1.
        time_ms: When it was taken, from the first frame of the file on; None if that is not known.
        source: Its label map, which has been read.
    """

    number: int
    time_ms: float | None
    source: LabelMapSource


@dataclass(frozen=True, slots=True)
class Cine:
    """The frames of one heart.

    Attributes:
        frames: Those that show the heart, in the order of time.
        count: Number of frames in the files.
        step_ms: Time from one to the next; None if it is not known.
        unlabelled: Numbers of the frames without labels.
        left_out: Number of a frame that has labels, and is no part of the cycle → why.
        doubt: Why ejection fractions may be wrong, as a sentence; empty if nothing says so.
        remarks: Other notes for the user, as sentences.
    """

    frames: tuple[CineFrame, ...]
    count: int
    step_ms: float | None
    unlabelled: tuple[int, ...]
    left_out: Mapping[int, str]
    doubt: str
    remarks: tuple[str, ...]


def read_cine(sources: Sequence[LabelMapSource], structures: tuple[str, ...]) -> Cine:
    """Read the frames of a heart: one 4-D label map, or 3-D ones in the order of time.

    Frames without labels, without the left ventricle although others show it, and those of another
    heart are left out.

    Args:
        sources: The files.
        structures: Names of the structures that count.

    Raises:
        InputError: A file cannot be read; they are not on one grid; there is a single frame; or the
            frames show no common heart.
    """
    paths = [source.path for source in sources]
    series, stored = _stored(sources)
    first = sources[0]
    if len(stored) < 2:
        raise InputError(
            f"{first.path}: has a single frame, and --frames takes those of a cycle: a 4-D label "
            "map, or a label map per frame, in order; leave --frames out to reconstruct one"
        )
    labelled = [number for number, one in enumerate(stored, start=1) if one.labels.any()]
    unlabelled = tuple(k for k in range(1, len(stored) + 1) if k not in labelled)
    if not labelled:
        raise InputError(f"{first.path}: no frame has any label; segment the heart")
    most = max((stored[number - 1] for number in labelled), key=lambda one: len(one.present()))
    label_set, chosen_remarks = first.label_set, tuple[str, ...]()
    if not first.chosen:
        label_set, chosen_remarks = label_set_of(most, first.label_set, first.of_model, first.path)
    maps: dict[int, LabelMap] = {}
    frames = []
    for number in labelled:
        path = paths[number - 1] if len(paths) > 1 else first.path
        one, where = stored[number - 1], f"{path}, frame {number}" if len(paths) == 1 else str(path)
        if one.names and label_set.drop_names:
            one = one.without(one.names.dropped_by(label_set))
        maps[number] = one.to_structures(label_set, structures, where)
        time_ms = None if series.step_ms is None else (number - 1) * series.step_ms
        source = replace(first, path=path, label_set=label_set, chosen=True, stored=one)
        frames.append(CineFrame(number, time_ms, source))
    left_out = _unusable(maps, structures, str(first.path))
    used = tuple(frame for frame in frames if frame.number not in left_out)
    if len(used) < 2:
        raise InputError(
            f"{first.path}: a cycle needs two frames that show the heart at least; "
            + "; ".join(_said(unlabelled, left_out))
        )
    remarks = tuple(
        filter(
            None,
            (
                order_remark(paths),
                *stored[0].remarks,
                *series.remarks,
                *chosen_remarks,
                *_said(unlabelled, left_out),
            ),
        )
    )
    doubt = short_cavities({frame.number: maps[frame.number] for frame in used}, structures)
    return Cine(used, len(stored), series.step_ms, unlabelled, left_out, doubt, remarks)


def _stored(sources: Sequence[LabelMapSource]) -> tuple[LabelSeries, list[LabelMap]]:
    """Read the files; return the time axis, and a label map per frame with ids as stored."""
    whole: list[LabelMap] = []
    for source in counted_parts(sources, "file"):
        by_name = not source.chosen or bool(source.label_set.drop_names)
        series = read_series(source.path, source.most_voxels, by_name)
        if len(sources) > 1 and len(series.frames) > 1:
            raise InputError(
                f"{source.path}: has {len(series.frames)} frames, and others are given beside it; "
                "give one 4-D label map alone, or label maps of a single frame, in order"
            )
        whole += series.frames
        _check_grid(whole[0], whole[-1], sources[0].path, source.path)
        shape = (*whole[0].shape, len(whole))
        check_voxel_count(shape, 1, source.most_voxels, source.path)
    return series, whole


def _check_grid(first: LabelMap, other: LabelMap, path: Path, other_path: Path) -> None:
    if first.shape == other.shape and np.allclose(first.affine, other.affine, atol=_SAME_MM):
        return
    raise InputError(
        f"{other_path}: is on another grid than {path}, and the frames of one heart have the same "
        "voxels and affine; give label maps of one series"
    )


def _said(unlabelled: Sequence[int], left_out: Mapping[int, str]) -> list[str]:
    """Say which frames are left out: those without labels in one sentence, as there may be many."""
    said = [f"frame {number} was left out: {why}" for number, why in left_out.items()]
    if not unlabelled:
        return said
    has, was = ("has", "was") if len(unlabelled) == 1 else ("have", "were")
    return [*said, f"{named_frames(unlabelled)} {has} no labels and {was} left out"]


def _unusable(
    maps: Mapping[int, LabelMap], structures: tuple[str, ...], path: str
) -> dict[int, str]:
    """Return the frames that are no part of the cycle, and why."""
    left_out: dict[int, str] = {}
    if _CHAMBER in structures:
        label = structures.index(_CHAMBER) + 1
        without = [number for number, one in maps.items() if not (one.labels == label).any()]
        if len(without) < len(maps):
            left_out = dict.fromkeys(without, f"it shows no {_CHAMBER}, and other frames do")
    rest = {number: one.labels for number, one in maps.items() if number not in left_out}
    return dict(sorted((left_out | unlike_the_others(rest, structures, path)).items()))
