"""Segments of a 3D Slicer segmentation (``.seg.nrrd``): their names, layers and label values.

Segments that overlap lie in several layers, each a label map of its own. The fields are those of
3D Slicer's documentation (Segmentations, "Segmentation file format"). Before 2020, each segment had
a layer of its own, without a label value.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecsetx.anatomy.structures import WHOLE_HEART, find_structure
from vecsetx.errors import InputError
from vecsetx.plain_data import is_whole_number

__all__ = ["Segment", "merge_layers", "segments_of"]

_FIELD = re.compile(r"Segment(\d{1,9})_(Name|LabelValue|Layer):=(.*)")


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment.

    Attributes:
        name: Its name.
        layer: Its layer, from 0.
        value: The value of its voxels in that layer.
    """

    name: str
    layer: int
    value: int


def segments_of(lines: Sequence[str], layers: int, path: Path) -> list[Segment]:
    """Read the segments from the lines of a NRRD header; none if it describes none.

    Args:
        lines: The header's lines.
        layers: Number of layers in the file.
        path: The file, for error messages.

    Raises:
        InputError: A segment lacks a name or a label value, or its layer does not exist.
    """
    fields: dict[int, dict[str, str]] = {}
    for line in lines:
        if found := _FIELD.match(line):
            fields.setdefault(int(found[1]), {})[found[2]] = found[3].strip()
    if not fields:
        return []
    each_own_layer = len(fields) == layers and not any("LabelValue" in f for f in fields.values())
    segments = []
    for position, number in enumerate(sorted(fields)):
        field = fields[number]
        missing = [key for key in ("Name", "LabelValue") if not field.get(key)]
        if missing and not (each_own_layer and field.get("Name")):
            raise InputError(
                f"{path}: its segment {number} has no Segment{number}_{missing[0]}; save the "
                "segmentation again in 3D Slicer"
            )
        layer = str(position) if each_own_layer else field.get("Layer", "0")
        value = field.get("LabelValue", "1")
        if not (is_whole_number(layer) and is_whole_number(value)) or int(value) == 0:
            raise InputError(
                f"{path}: its segment {number} has layer {layer!r} and label value {value!r}; they "
                "are whole numbers, and the value is at least 1"
            )
        if int(layer) >= layers:
            raise InputError(
                f"{path}: its segment {number} lies in layer {layer}, and the file has {layers} "
                "(from 0); save the segmentation again in 3D Slicer"
            )
        segments.append(Segment(field["Name"], int(layer), int(value)))
    return segments


def merge_layers(
    layers: np.ndarray, segments: Sequence[Segment], path: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Merge the layers into one label map, in which the n-th segment (from 1) has id n.

    A voxel in several segments goes to the smallest structure; the whole heart counts as the
    largest one, and what is no structure as larger still.

    Args:
        layers: Values ``[L, I, J, K]``.
        segments: The segments.
        path: The file, for error messages.

    Returns:
        Ids ``[I, J, K]`` uint16, and a remark on every overlap.

    Raises:
        InputError: Two segments are the same voxels of the same layer, or voxels are in no segment.
    """
    if len({(s.layer, s.value) for s in segments}) < len(segments):
        raise InputError(
            f"{path}: two segments share a layer and a label value; save the segmentation again in "
            "3D Slicer"
        )
    # 1. The voxels of each segment, as flat indices. Most of a scan is background.
    voxels: dict[Segment, np.ndarray] = {}
    for number, layer in enumerate(layers):
        values = layer.ravel(order="F")
        inside = np.flatnonzero(values)
        values = values[inside]
        own = [segment for segment in segments if segment.layer == number]
        if unknown := sorted(set(np.unique(values).tolist()) - {s.value for s in own}):
            raise InputError(
                f"{path}: its layer {number} has values {unknown}, which no segment describes; "
                "save the segmentation again in 3D Slicer"
            )
        voxels |= {segment: inside[values == segment.value] for segment in own}
    # 2. One label map, the largest first, so that smaller segments overwrite larger ones.
    ids = np.zeros(math.prod(layers.shape[1:]), np.uint16)
    remarks = []
    numbers = {segment: n for n, segment in enumerate(segments, 1)}
    for segment in sorted(segments, key=lambda s: (_rank(s.name), -len(voxels[s]))):
        counts = np.bincount(ids[voxels[segment]], minlength=len(segments) + 1)
        remarks += [
            f"{segment.name} and {other.name} share {counts[n]} voxels; they were given to "
            f"{segment.name}"
            for other, n in numbers.items()
            if counts[n] and find_structure(other.name) != WHOLE_HEART
        ]
        ids[voxels[segment]] = numbers[segment]
    return ids.reshape(layers.shape[1:], order="F"), tuple(remarks)


def _rank(name: str) -> int:
    """Return which segments come first where they overlap: the later the higher."""
    structure = find_structure(name)
    return 0 if structure is None else 1 if structure == WHOLE_HEART else 2
