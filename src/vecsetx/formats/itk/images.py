"""NRRD and MetaImage files, read by ITK, with the checks that ITK omits.

ITK uses LPS+ millimetres; this module converts them to RAS+. ITK silently accepts damaged
compressed voxels, and prints to the terminal if voxels are missing. This module therefore counts
the voxels' bytes beforehand.
"""

import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from packaging.version import Version

from vecsetx.anatomy.label_map import SIDES_GUESSED
from vecsetx.anatomy.label_names import LabelNames
from vecsetx.errors import InputError
from vecsetx.formats.itk.headers import (
    check_meta_header,
    check_nrrd_header,
    data_files,
    field_of,
    is_nrrd,
    other_units,
    read_header,
)
from vecsetx.formats.quiet import quiet_stderr
from vecsetx.formats.segments import merge_layers, segments_of
from vecsetx.formats.unpacking import Unpacked, check_voxel_count

if TYPE_CHECKING:
    import SimpleITK

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# ITK turns RAS and LAS to LPS, but neither of them where the space has a time axis.
_RAS_FROM_TIMED = {
    **dict.fromkeys(("right-anterior-superior-time", "rast"), np.eye(4)),
    **dict.fromkeys(("left-anterior-superior-time", "last"), np.diag([-1.0, 1.0, 1.0, 1.0])),
}

_LAS = ("left-anterior-superior", "las")
_PLACES_LAS = "2.5.6"  # the first release of SimpleITK that places it rightly

# NRRD's spaces that say where left is; scanner-xyz, 3D-right-handed and 3D-left-handed do not.
_ANATOMICAL = re.compile(
    "(right-anterior|left-anterior|left-posterior)-superior(-time)?|(ra|la|lp)st?", re.IGNORECASE
)


def read_values(
    path: Path, most_voxels: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], LabelNames | None]:
    """Read the voxel values, the affine ``[4, 4]`` to RAS+ mm, remarks, and the ids' names.

    A 3D Slicer segmentation of several layers becomes one label map, in which the n-th segment
    (from 1) has id n; see :func:`vecsetx.formats.segments.merge_layers`.

    Raises:
        InputError: The file is unreadable, damaged or truncated, claims too many voxels, has its
            voxels in another folder, or has several values per voxel without being a 3D Slicer
            segmentation.
    """
    import SimpleITK as sitk

    reader = _reader(path)
    layers = reader.GetNumberOfComponents()
    check_voxel_count(reader.GetSize(), layers, most_voxels, path)
    segments = segments_of(read_header(path)[0], layers, path)
    if layers > 1 and not segments:
        raise InputError(
            f"{path}: has {layers} values per voxel and describes no segments, so it is neither a "
            "label map nor a 3D Slicer segmentation; export it as a label map"
        )
    left = _check_voxels(path, layers * math.prod(reader.GetSize()), _bytes_per_value(reader))
    with _asking_itk(path):
        image = reader.Execute()
    values = sitk.GetArrayFromImage(image)
    _check_text(values, path)
    # SimpleITK's arrays are indexed [k, j, i], with several values per voxel [k, j, i, layer].
    values, remarks = values.transpose(), _remarks(path) + left
    numbered = [(segment.value, segment.name) for segment in segments]
    if layers > 1:
        values, overlaps = merge_layers(values, segments, path)
        remarks = (*remarks, *overlaps)
        numbered = [(n, segment.name) for n, segment in enumerate(segments, 1)]
    names = LabelNames.of_pairs(numbered, f"{path}: its segments") if segments else None
    return values, _affine(reader, path), remarks, names


def read_grid(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Read the grid size and the affine ``[4, 4]`` to RAS+ mm, from the header only.

    Raises:
        InputError: The file is unreadable.
    """
    reader = _reader(path)
    return tuple(reader.GetSize()), _affine(reader, path)


def _reader(path: Path) -> "SimpleITK.ImageFileReader":
    """Return a reader that has read the header."""
    import SimpleITK as sitk

    lines, _ = read_header(path)
    if not (is_nrrd(lines) or field_of(lines, "ndims")):
        raise _unreadable(path, ValueError("neither NRRD nor MetaImage"))
    data_files(path)  # raises if one is missing
    (check_nrrd_header if is_nrrd(lines) else check_meta_header)(path)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    # Otherwise ITK reads any format that it recognizes, whatever the file's name.
    reader.SetImageIO("NrrdImageIO" if is_nrrd(lines) else "MetaImageIO")
    reader.SetFileName(str(path))
    with _asking_itk(path):
        reader.ReadImageInformation()
    return reader


_META_ENDINGS = (".mha", ".mhd")


@contextmanager
def _asking_itk(path: Path) -> Iterator[None]:
    """Make an error of ITK an :class:`InputError`; what it says of MetaImage goes to stderr."""
    is_meta = path.name.lower().endswith(_META_ENDINGS)
    try:
        with quiet_stderr() if is_meta else nullcontext():
            yield
    except (RuntimeError, UnicodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    # ITK gives the reason in the last of many lines, after positions in its own source.
    reason = str(error).strip().splitlines()[-1].removeprefix("sitk::ERROR: ")
    return InputError(f"{path}: cannot be read as an image ({reason}); copy or export it again")


# Header fields of NRRD and MetaImage that position the voxels.
_POSITION_FIELDS = (
    "space origin", "space directions",
    "offset", "position", "origin", "transformmatrix", "rotation", "orientation", "elementspacing",
)  # fmt: skip


def _affine(reader: "SimpleITK.ImageFileReader", path: Path) -> np.ndarray:
    lines, _ = read_header(path)
    for key in _POSITION_FIELDS:  # ITK replaces invalid numbers by 0
        if re.search(r"\b(nan|inf)", field := field_of(lines, key) or "", re.IGNORECASE):
            raise InputError(
                f"{path}: {key} is {field}, so voxels have no position; repair the header"
            )
    # Of images with more dimensions, the first three axes are those of space.
    n = reader.GetDimension()
    directions = np.array(reader.GetDirection()).reshape(n, n)[:3, :3]
    affine = np.eye(4)
    axes = min(n, 3)
    affine[:axes, :axes] = directions * reader.GetSpacing()[:3]
    affine[:axes, 3] = reader.GetOrigin()[:3]
    space = (field_of(lines, "space") or "").lower()
    _check_release(space, path)
    return _RAS_FROM_TIMED.get(space, _RAS_FROM_LPS) @ affine


def _check_release(space: str, path: Path) -> None:
    """Check that SimpleITK is not one that negates x, not y, to turn LAS to LPS."""
    import SimpleITK as sitk

    release = sitk.Version.VersionString()
    if space in _LAS and Version(release) < Version(_PLACES_LAS):
        raise InputError(
            f"{path}: SimpleITK {release} turns files in the space LAS by 180°; install a newer "
            f"one: pip install 'SimpleITK>={_PLACES_LAS}'"
        )


def _remarks(path: Path) -> tuple[str, ...]:
    lines, _ = read_header(path)
    remarks = []
    spacing = field_of(lines, "space directions", "spacings", "elementspacing", "elementsize")
    if spacing is None:
        remarks.append("the header gives no spacing; 1 mm is assumed")
    elif "nan" in spacing.lower() or "none" in spacing.lower().split()[:3]:  # unknown in NRRD
        remarks.append(f"the header gives spacings {spacing}; 1 mm is assumed where none is known")
    if is_nrrd(lines):
        space = field_of(lines, "space")
        if space is None or not _ANATOMICAL.fullmatch(space):
            named = "names no space" if space is None else f"names the space {space}, not anatomy"
            remarks.append(f"the header {named}; LPS is assumed, so {SIDES_GUESSED}")
        units = set(re.findall(r'"([^"]*)"', field_of(lines, "space units") or "")) - {"mm", ""}
        if units:
            raise other_units(", ".join(sorted(units)), path)
    elif field_of(lines, "transformmatrix", "rotation", "orientation") is None:
        remarks.append(f"the header gives no orientation; LPS is assumed, so {SIDES_GUESSED}")
    return tuple(remarks)


def _bytes_per_value(reader: "SimpleITK.ImageFileReader") -> int:
    import SimpleITK as sitk

    return sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()


def _check_voxels(path: Path, values: int, value_bytes: int) -> tuple[str, ...]:
    """Check that the file has the values that its header claims, before ITK takes their memory.

    Returns:
        Remarks, if it has more.
    """
    lines, end = read_header(path)
    encoding = field_of(lines, "encoding")
    if encoding is None:
        compressed = (field_of(lines, "compresseddata") or "").lower() == "true"
        binary = (field_of(lines, "binarydata") or "true").lower() == "true"
        encoding = "gzip" if compressed else "raw" if binary else "text"
    packing = _ENCODINGS.get(encoding.lower(), "text")
    expected = values * value_bytes if packing != "text" else 2 * values - 1  # digits and spaces
    skips = field_of(lines, "line skip", "lineskip", "byte skip", "byteskip", "headersize")
    is_skipping = skips is not None
    files = data_files(path)
    if encoding == "gzip" and not is_nrrd(lines) and len(files) < 2:
        there = files[0].stat().st_size if files else path.stat().st_size - end
        _check_packed_size(path, lines, there)
    found = 0
    remarks: tuple[str, ...] = ()
    try:
        for file in files or (path,):
            with Unpacked(file, 0 if files else end, packing) as stream:
                of_file, remarks = _count(stream, expected - found, is_skipping)
                found += of_file
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if found < expected:
        raise InputError(
            f"{path}: truncated, has {found} of {expected} bytes of voxels; copy or export it again"
        )
    return remarks


_LONGEST_NUMBER = 64  # in bytes, with spaces


def _check_text(values: np.ndarray, path: Path) -> None:
    """Check that values written as text are what ITK read: it wraps what the type cannot hold."""
    lines, end = read_header(path)
    encoding = field_of(lines, "encoding") or ""
    is_text = (field_of(lines, "binarydata") or "").lower() == "false"
    if encoding.lower() not in ("text", "txt", "ascii") and not (is_text and not encoding):
        return
    words: list[bytes] = []
    files = data_files(path)
    for file in files or (path,):
        with file.open("rb") as stream:
            stream.seek(0 if files else end)
            text = stream.read(_LONGEST_NUMBER * values.size)
        words += text.replace(b",", b" ").split()[: values.size - len(words)]
    try:
        is_same = np.array_equal(np.array(words, np.float64), values.ravel().astype(np.float64))
    except ValueError:
        is_same = False
    if not is_same:
        raise InputError(
            f"{path}: holds other numbers than its type {values.dtype} can, or skips some; export "
            "it again"
        )


def _check_packed_size(path: Path, lines: list[str], there: int) -> None:
    """Check the size of compressed voxels that a MetaImage header gives.

    ITK unpacks that many bytes: without it none, so that all voxels are whatever the memory held.
    """
    given = field_of(lines, "compresseddatasize") or "(missing)"
    if given != str(there):
        raise InputError(
            f"{path}: truncated or damaged, has {there} bytes of compressed voxels, and its header "
            f"gives CompressedDataSize {given}; copy or export it again"
        )


_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}


def _count(stream: Unpacked, most: int, is_skipping: bool) -> tuple[int, tuple[str, ...]]:
    """Return how many of the next bytes of a file are there, up to ``most``, and remarks.

    Where ITK skips bytes before the voxels, it is only how many there can be.

    Raises:
        EOFError, OSError, ValueError, zlib.error: They are damaged, or too many are left.
    """
    holds = stream.holds()
    if is_skipping or stream.encoding == "text" or holds < most:
        return min(most, holds), ()
    if stream.encoding == "raw":
        stream.seek(most)
        return most, stream.check_end()
    found = stream.skip(most)
    return found, stream.check_end()
