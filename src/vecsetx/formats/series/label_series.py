"""Label maps of a heart over its cycle, in a 4-D NIfTI image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.formats.images import NIFTI_ENDINGS, read_image
from vecsetx.formats.label_maps import label_map_of
from vecsetx.formats.name_tables import label_extension
from vecsetx.formats.nifti import opened_nifti
from vecsetx.formats.own_results import reconstruction_extension
from vecsetx.limits import VOXELS

__all__ = ["LabelSeries", "read_series", "write_series"]

_MS_PER_UNIT = {8: 1000.0, 16: 1.0, 24: 0.001}
"""By code of the NIfTI header: seconds, milliseconds, microseconds."""

_LONGEST_MS = 1e5
"""A step that no cine has; its unit is a mistake."""

_STEPS_MS, _CYCLES_MS = (5.0, 500.0), (200.0, 3000.0)
"""Shortest and longest usual step, and time of all frames together."""


@dataclass(frozen=True, slots=True)
class LabelSeries:
    """Label maps on one grid, in the order of time.

    Attributes:
        frames: A map per frame, with ids as stored; some may be empty.
        step_ms: Time from one frame to the next; None if the file does not say.
        remarks: Notes for the user on the time axis, as sentences.
    """

    frames: tuple[LabelMap, ...]
    step_ms: float | None
    remarks: tuple[str, ...] = ()


def read_series(path: Path, most_voxels: int = VOXELS, names_matter: bool = True) -> LabelSeries:
    """Read a 4-D label map.

    Args:
        path: The file, NIfTI. A 3-D one has a single frame.
        most_voxels: Most voxels that are read, of all frames together.
        names_matter: Whether its ids are read by its names.

    Raises:
        InputError: It cannot be read, has other than 3 or 4 dimensions or no time axis, or its
            values are no labels.
    """
    image = read_image(path, most_voxels)
    values = image.values
    while values.ndim > 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (3, 4):
        raise InputError(
            f"{path}: a label map of a cycle has 4 dimensions, three of space and one of time, and "
            f"this image has shape {values.shape}; export one label map per frame, or a 4-D file"
        )
    if values.ndim == 3:
        values = values[..., None]
    elif not path.name.lower().endswith(NIFTI_ENDINGS):
        raise InputError(
            f"{path}: only NIfTI says of a fourth axis that it is time; save the frames as 4-D "
            "NIfTI, or give a label map per frame, in order"
        )
    frames = []
    for number in range(values.shape[3]):
        one = replace(image, values=np.ascontiguousarray(values[..., number]))
        frames.append(label_map_of(one, path, may_be_empty=True, names_matter=names_matter))
    step_ms, remarks = (None, ()) if len(frames) < 2 else _step_ms(path, len(frames))
    return LabelSeries(tuple(frames), step_ms, remarks)


def write_series(
    frames: Sequence[LabelMap],
    path: Path,
    step_ms: float | None,
    structures: Sequence[str],
    label_set: LabelSet,
    is_reconstruction: bool = False,
) -> None:
    """Write label maps of one grid as a 4-D NIfTI image, in mm and ms, atomically.

    Args:
        frames: A map per frame, with the label set's ids.
        path: The file.
        step_ms: Time from one frame to the next; None: the header does not say.
        structures: Structures of the maps, whose names go into the header.
        label_set: The label set that defines their ids.
        is_reconstruction: Whether a model made them, which the header says.
    """
    image = nib.Nifti1Image(np.stack([one.labels for one in frames], axis=3), frames[0].affine)
    image.header.set_xyzt_units("mm", "unknown" if step_ms is None else "msec")
    image.header["pixdim"][4] = step_ms or 0.0
    image.header.extensions.append(label_extension(structures, label_set))
    if is_reconstruction:
        image.header.extensions.append(reconstruction_extension({}))
    with written_whole(path) as unfinished:
        nib.save(image, unfinished)


def _step_ms(path: Path, frames: int) -> tuple[float | None, tuple[str, ...]]:
    """Return the time between frames that a header gives; None and a remark if it gives none.

    A time that no heart has gets a remark, too.
    """
    with opened_nifti(path) as (header, _):
        step, code = float(header.read["pixdim"][4]), int(header.read["xyzt_units"]) & 0x38
    step_ms = step * _MS_PER_UNIT.get(code, math.nan)
    if 0 < step_ms <= _LONGEST_MS:
        cycle_ms = frames * step_ms
        usual = all(
            low <= ms <= high for ms, (low, high) in ((step_ms, _STEPS_MS), (cycle_ms, _CYCLES_MS))
        )
        odd = (
            f"its header gives {step_ms:g} ms from frame to frame, so {cycle_ms:g} ms for all "
            f"{frames}, and a cycle takes {_CYCLES_MS[0]:g} to {_CYCLES_MS[1]:g} ms, in steps of "
            f"{_STEPS_MS[0]:g} to {_STEPS_MS[1]:g}; its step or its unit is probably wrong, and so "
            "are times"
        )
        return step_ms, () if usual else (odd,)
    why = f"a step of {step:g} without a unit"
    if code in _MS_PER_UNIT:
        why = f"a time step of {step_ms:g} ms"
    elif code:
        why = f"a step of {step:g} in a unit that is none of time"
    return None, (f"its header gives {why}; times are unknown, and frames are numbered",)
