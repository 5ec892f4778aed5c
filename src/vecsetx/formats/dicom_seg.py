"""DICOM segmentations (SEG), read by highdicom, which is an extra.

DICOM uses LPS+ millimetres; this module converts them to RAS+. Segments may overlap.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.anatomy.label_names import LabelNames
from vecsetx.anatomy.structures import WHOLE_HEART, find_structure
from vecsetx.errors import InputError
from vecsetx.formats.quiet import quiet_libraries
from vecsetx.formats.segments import Segment, merge_layers
from vecsetx.formats.unpacking import Unpacked, check_voxel_count
from vecsetx.limits import DEFLATE_RATIO, DICOM_BYTES

__all__ = ["read_grid", "read_values"]

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_INSIDE_FRACTION = 0.5
_BITS = {"BINARY": (1,), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}
"""Type of segmentation → bits of a voxel (DICOM PS3.3, C.8.20.2)."""


def read_values(
    path: Path, most_voxels: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], LabelNames | None]:
    """Read the segments as one label map, in which segment n has id n.

    A segment's name is its label, or the meaning of its property type or of its anatomic region if
    only that is a structure. Segments called background or by another organ's name are left out,
    unless all are. Of fractional segments, voxels of at least one half are inside.

    Returns:
        Ids ``[I, J, K]`` uint16, the affine ``[4, 4]`` to RAS+ mm, remarks, and the ids' names.

    Raises:
        InputError: highdicom is not installed; or the file is unreadable, damaged, too large, no
            DICOM segmentation, has no frame of reference or no regular grid, or does not describe
            all its segments.
    """
    with _reading(path):
        return _read_values(path, most_voxels)


def _read_values(
    path: Path, most_voxels: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], LabelNames | None]:
    file = _read(path)
    geometry = _geometry(file, path)
    described = {n: file.get_segment_description(n) for n in file.segment_numbers}
    words = {number: _word(description) for number, description in described.items()}
    names = LabelNames.of_pairs(words.items(), f"{path}: its segments")
    wanted = _wanted(names, geometry.spatial_shape, most_voxels, path)
    _check_claim(file, math.prod(geometry.spatial_shape) * len(wanted), path)
    referred = _referred(file)
    stack = file.get_volume(segment_numbers=wanted, combine_segments=False).array
    if unknown := sorted(referred - words.keys()):
        raise InputError(
            f"{path}: its frames refer to segments {unknown}, which it does not describe (it has "
            f"{sorted(words)}); export it again"
        )
    remarks = _contradictions({number: described[number] for number in wanted})
    if stack.dtype.kind == "f":
        remarks.append("its segments are fractional; voxels of at least one half are inside")
        stack = stack >= _INSIDE_FRACTION
    segments = [Segment(words[number], layer, 1) for layer, number in enumerate(wanted)]
    merged, overlaps = merge_layers(np.moveaxis(stack, -1, 0), segments, path)
    ids = np.array([0, *wanted], np.uint16)[merged]
    return ids, _RAS_FROM_LPS @ geometry.affine, (*remarks, *overlaps), names


def read_grid(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Read the grid size and the affine ``[4, 4]`` to RAS+ mm.

    Raises:
        InputError: As :func:`read_values`.
    """
    with _reading(path):
        geometry = _geometry(_read(path), path)
        return tuple(geometry.spatial_shape), _RAS_FROM_LPS @ geometry.affine


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Make what goes wrong an :class:`InputError`; damaged files have any error raised."""
    try:
        with quiet_libraries("pydicom", "highdicom", "highdicom.base", "highdicom.seg.sop"):
            yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # highdicom and pydicom pass on any error of damaged elements
        raise _unreadable(path, error) from error


def _read(path: Path) -> Any:
    try:
        from highdicom.seg import Segmentation
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: reading DICOM needs highdicom; run: pip install 'vecsetx[dicom]'"
        ) from error
    _check_packed(path)
    from pydicom import dcmread

    dataset = dcmread(path)
    try:
        if "SegmentationType" in dataset:
            _check_frames(dataset)
        return Segmentation.from_dataset(dataset, copy=False)
    except ValueError as error:
        raise InputError(
            f"{path}: not a DICOM segmentation ({error}); give a SEG object, not images"
        ) from error


def _check_frames(dataset: Any) -> None:
    """Check that a segmentation has what it claims, and says one thing of it.

    Raises:
        EOFError: It has more or fewer.
        TypeError: It says two things.
    """
    frames = int(dataset.NumberOfFrames)
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence", ()))
    if frames != len(groups):
        raise EOFError(f"it has {frames} frames, and describes {len(groups)}")
    bits, kind = int(dataset.BitsAllocated), str(dataset.SegmentationType)
    if bits not in _BITS.get(kind, ()):
        raise TypeError(f"its type is {kind}, and its voxels have {bits} bits")
    voxels = frames * int(dataset.Rows) * int(dataset.Columns)
    size = -(-voxels * bits // 8)
    is_packed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    if not is_packed and len(dataset.PixelData) not in (size, size + size % 2):
        raise EOFError(f"it has {len(dataset.PixelData)} bytes of voxels, and claims {size}")
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        stated = [group[name].value for group in groups if name in group]
        for group in dataset.SharedFunctionalGroupsSequence:
            if name in group and any(value != group[name].value for value in stated):
                raise TypeError(f"its {name} for all frames differs from that of single ones")
    if kind == "LABELMAP" and any("SegmentIdentificationSequence" in group for group in groups):
        raise TypeError("it is a label map, and its frames are of single segments")


def _check_packed(path: Path) -> None:
    """Check the size of a file, and what a deflated one unpacks to.

    Raises:
        ValueError: It is too large.
    """
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    meta = read_file_meta_info(path)
    size = path.stat().st_size
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        # Behind the preamble and the first element, which has the length of the others.
        start = 132 + 12 + int(meta.FileMetaInformationGroupLength)
        with Unpacked(path, start, "deflate") as file:
            size = file.skip(DICOM_BYTES + 1)
    if size > DICOM_BYTES:
        raise OSError(f"it has over {DICOM_BYTES} bytes")


def _check_claim(file: Any, values: int, path: Path) -> None:
    """Check that a file of this size can hold the values of its grid, and its frames.

    Raises:
        EOFError: It cannot.
    """
    frames = int(file.NumberOfFrames) * int(file.Rows) * int(file.Columns)
    most = max(DEFLATE_RATIO * len(file.PixelData), 1)
    if max(values, frames) > most:
        raise EOFError(f"it claims {max(values, frames)} voxels, more than it can hold")


def _geometry(file: Any, path: Path) -> Any:
    """Return the regular grid of all frames."""
    if not getattr(file, "FrameOfReferenceUID", None):
        raise InputError(
            f"{path}: has no frame of reference, so its voxels have no position; export it again"
        )
    geometry = file.get_volume_geometry()
    if geometry is None:
        raise InputError(f"{path}: its frames form no regular grid; export it as one volume")
    return geometry


def _wanted(names: LabelNames, shape: tuple[int, ...], most_voxels: int, path: Path) -> list[int]:
    """Return the numbers of the segments that may be structures; of all if none may.

    Raises:
        InputError: They are too large.
    """
    background = names.background()
    wanted = [number for number in names.names if number and number not in background]
    decoded = wanted or list(names.names)
    try:
        check_voxel_count(shape, len(decoded), most_voxels, path)
    except InputError:
        if not wanted:
            names.label_set(())  # raises, as no name is a structure
        raise
    return decoded


def _referred(file: Any) -> set[int]:
    """Return the numbers of the segments that frames, or voxels of a label map, refer to."""
    if file.SegmentationType == "LABELMAP":
        found = np.zeros(1 << 16, dtype=bool)
        for frame in file.pixel_array.reshape(-1, file.Rows, file.Columns):
            found[frame] = True
        return set(np.flatnonzero(found).tolist()) - {0, file.get("PixelPaddingValue", 0)}
    groups = (*file.PerFrameFunctionalGroupsSequence, *file.SharedFunctionalGroupsSequence)
    return {
        int(identified.ReferencedSegmentNumber)
        for group in groups
        for identified in group.get("SegmentIdentificationSequence", ())
    }


def _contradictions(described: Mapping[int, Any]) -> list[str]:
    """Return remarks on segments whose label is one structure and whose code is another."""
    remarks = []
    for number, description in described.items():
        own = find_structure(description.segment_label)
        coded = {find_structure(meaning): meaning for meaning in _meanings(description)}
        others = [meaning for name, meaning in coded.items() if name not in (None, WHOLE_HEART)]
        # "Myocardium" with the region "Left ventricle" is no contradiction if a code says the same.
        if own and others and own not in coded:
            remarks.append(
                f"segment {number} is called {description.segment_label!s}, but its code means "
                f"{others[0]}; its name was used"
            )
    return remarks


def _word(description: Any) -> str:
    """Return a segment's label, or a code's meaning if only that is a structure."""
    label = str(description.segment_label)
    if find_structure(label):
        return label
    # Programs give the code of the heart to any part of it.
    meant = (w for w in _meanings(description) if find_structure(w) not in (None, WHOLE_HEART))
    return next(meant, label)


def _meanings(description: Any) -> list[str]:
    """Return the meanings of the codes of a segment's type and of its anatomic regions."""
    codes = [description.segmented_property_type, *(description.anatomic_regions or ())]
    return [str(code.meaning) for code in codes]


def _unreadable(path: Path, error: Exception) -> InputError:
    why = str(error).partition(". Use force=True")[0]  # an option of pydicom, not of ours
    return InputError(
        f"{path}: cannot be read as a DICOM segmentation ({why}); copy or export it again"
    )
