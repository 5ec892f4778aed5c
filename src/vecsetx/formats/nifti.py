"""NIfTI files, in one part or as a pair, read by nibabel with the checks that nibabel omits.

Whether a file is compressed shows in its first bytes, whatever its name says. The header is read
alone first; what it claims is compared with the file before memory is taken.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

import numpy as np

from vecsetx.anatomy.label_map import SIDES_GUESSED
from vecsetx.anatomy.label_names import LabelNames
from vecsetx.errors import InputError
from vecsetx.formats.affines import grid_corners
from vecsetx.formats.name_tables import names_in_extensions
from vecsetx.formats.nifti_pairs import is_pair, pair_files
from vecsetx.formats.own_results import remarks_in_extensions
from vecsetx.formats.quiet import quiet_libraries
from vecsetx.formats.unpacking import Unpacked, check_voxel_count
from vecsetx.limits import HEADER_BYTES

__all__ = ["form_codes", "opened_nifti", "read_grid", "read_values", "unreadable"]

# The header's size, an int32 in either byte order, and how NIfTI-1 differs from Analyze 7.5.
_NIFTI_2, _NIFTI_1 = (b"\x1c\x02\0\0", b"\0\0\x02\x1c"), (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
_NIFTI_1_BYTES, _NIFTI_2_BYTES = 348, 540
_MAGIC = (b"ni1", b"n+1")

# By unit code of the NIfTI-1 header: unspecified, metre, millimetre, micrometre.
_MM_PER_SPACE_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}

_SAME_PLACE_VOXELS = 0.1
"""sform and qform agree if no corner of the grid differs by more than this."""


@dataclass(frozen=True, slots=True)
class _Header:
    """A header.

    Attributes:
        read: As nibabel reads it.
        spacing: Voxel size along up to three axes, before nibabel replaces zeros by 1.
    """

    read: Any
    spacing: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(map(int, self.read.get_data_shape()))


def read_values(
    path: Path, most_voxels: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], LabelNames | None]:
    """Read the voxel values, the affine ``[4, 4]`` to RAS+ mm, remarks, and the ids' names.

    Raises:
        InputError: The file is unreadable, damaged or truncated, or claims too many voxels.
    """
    from nibabel.arrayproxy import ArrayProxy

    with opened_nifti(path) as (header, stream):
        affine, remarks = _affine(header, path)
        names = names_in_extensions(header.read.extensions, path)
        remarks += remarks_in_extensions(header.read.extensions)
        check_voxel_count(header.shape, 1, most_voxels, path)
        with _reading(stream.path):
            voxels: Any = ArrayProxy(stream, header.read)
            stream.check_claim(voxels.offset + math.prod(header.shape) * voxels.dtype.itemsize)
            values = np.asarray(voxels)
            remarks += stream.check_end()
    return values, affine, remarks, names


def read_grid(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Read the grid size and the affine ``[4, 4]`` to RAS+ mm, from the header only.

    Raises:
        InputError: The header is unreadable.
    """
    with opened_nifti(path) as (header, _):
        return header.shape, _affine(header, path)[0]


def form_codes(path: Path) -> tuple[int, int]:
    """Return the codes of sform and qform.

    Raises:
        InputError: The header is unreadable.
    """
    with opened_nifti(path) as (header, _):
        return int(header.read["sform_code"]), int(header.read["qform_code"])


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a damaged file."""
    why = " ".join(str(error).split())
    return InputError(f"{path}: cannot be read as a NIfTI image ({why}); copy or export it again")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Make what goes wrong while NIfTI is read an :class:`InputError` that names the file."""
    import nibabel as nib

    of_header = nib.spatialimages.HeaderDataError, nib.wrapstruct.WrapStructError
    of_nibabel = nib.filebasedimages.ImageFileError, *of_header
    try:
        with quiet_libraries(nib.imageglobals.logger.name):
            yield
    except InputError:
        raise
    except (*of_nibabel, OSError, EOFError, ValueError, ZlibError, OverflowError) as error:
        raise unreadable(path, error) from error


@contextmanager
def opened_nifti(path: Path) -> Iterator[tuple[_Header, Unpacked]]:
    """Read the header; yield it and the file with the voxels."""
    with _reading(path), ExitStack() as opened:
        files = pair_files(path) if is_pair(path) else (path,)
        first = opened.enter_context(Unpacked(files[0]))
        header = _read_header(first, len(files) > 1, path)
        yield header, opened.enter_context(Unpacked(files[1])) if len(files) > 1 else first


def _read_header(file: Unpacked, is_pair: bool, path: Path) -> _Header:
    """Read the header with its extensions, and none of the voxels."""
    import nibabel as nib

    start = file.keep(_NIFTI_2_BYTES)
    _check_nifti(start, path)
    second = start[:4] in _NIFTI_2
    if is_pair:
        kind = nib.Nifti2Pair.header_class if second else nib.Nifti1Pair.header_class
    else:
        kind = nib.Nifti2Image.header_class if second else nib.Nifti1Image.header_class
    raw = kind(start[: kind.template_dtype.itemsize], check=False)
    # Of a pair, the header is a file of its own, which extensions fill.
    end = HEADER_BYTES + 1 if is_pair else max(float(raw["vox_offset"]), len(start))
    head = file.keep(int(min(end, HEADER_BYTES + 1)))
    if len(head) > HEADER_BYTES:
        raise ValueError(f"its header is longer than {HEADER_BYTES} bytes")
    spacing = np.array(raw["pixdim"][1 : 1 + min(int(raw["dim"][0]), 3)])
    return _Header(kind.from_fileobj(BytesIO(head)), spacing)


def _check_nifti(start: bytes, path: Path) -> None:
    """Check that a file's first bytes, where its header is, are a whole header of NIfTI.

    Raises:
        InputError: They are only a part of one, or those of another format.
    """
    is_first = start[:4] in _NIFTI_1
    if not (is_first or start[:4] in _NIFTI_2):
        return  # nibabel says what is wrong
    if len(start) < (whole := _NIFTI_1_BYTES if is_first else _NIFTI_2_BYTES):
        raise InputError(
            f"{path}: truncated, has {len(start)} of the {whole} bytes of a NIfTI header; copy or "
            "export it again"
        )
    magic = start[344:348].rstrip(b"\0")
    if not is_first or magic in _MAGIC:
        return
    if magic:
        raise InputError(
            f"{path}: not NIfTI, its header has {magic!r} in place of NIfTI's b'n+1' or b'ni1'; "
            "copy or export it again"
        )
    raise InputError(
        f"{path}: is Analyze 7.5, which does not say which side is left; convert it to NIfTI "
        "with the program that wrote it"
    )


def _affine(header: _Header, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the affine in mm, and remarks on it.

    Raises:
        InputError: The unit does not exist, or the qform is to place voxels without a size.
    """
    read = header.read
    code = int(read["xyzt_units"]) % 8  # the higher bits are the unit of time
    if code not in _MM_PER_SPACE_UNIT:
        raise InputError(
            f"{path}: the header gives lengths in unit {code}, which NIfTI does not define; "
            "repair xyzt_units (2 is mm)"
        )
    affine = np.array(read.get_best_affine(), dtype=np.float64)
    affine[:3] *= _MM_PER_SPACE_UNIT[code]
    remarks = []
    by_qform = read["qform_code"] > 0 and not read["sform_code"] > 0
    if by_qform and (header.spacing == 0).any():
        raise InputError(
            f"{path}: the header's qform places voxels of size "
            f"{' × '.join(f'{mm:g}' for mm in header.spacing)}, which have no extent; correct "
            "pixdim"
        )
    if _MM_PER_SPACE_UNIT[code] != 1:
        unit = {1: "meter", 3: "micron"}[code]
        remarks.append(f"the header gives lengths in {unit}; they were converted to mm")
    if not read["sform_code"] > 0 and (header.spacing == 0).any():
        remarks.append("the header gives no spacing; 1 mm is assumed where there is none")
    if not (read["sform_code"] > 0 or read["qform_code"] > 0):
        remarks.append(
            "the header gives no orientation (neither sform nor qform); its axes are taken to run "
            f"left, anterior and superior, so {SIDES_GUESSED}"
        )
    elif moved_mm := _disagreement_mm(header, affine, _MM_PER_SPACE_UNIT[code]):
        remarks.append(f"sform and qform disagree by up to {moved_mm:.3g} mm; the sform is used")
    return affine, tuple(remarks)


def _disagreement_mm(header: _Header, sform_mm: np.ndarray, mm_per_unit: float) -> float:
    """Return the largest displacement of a grid corner between sform and qform; 0 if they agree."""
    from nibabel.spatialimages import HeaderDataError

    try:
        qform = header.read.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError):
        return float("inf")
    if qform is None or not header.read["sform_code"] > 0:
        return 0.0
    # Two affine maps of a box differ most at one of its corners.
    corners = grid_corners(header.shape)
    steps_mm = corners @ (qform[:3, :3] * mm_per_unit - sform_mm[:3, :3]).T
    steps_mm = steps_mm + qform[:3, 3] * mm_per_unit - sform_mm[:3, 3]
    if not np.isfinite(steps_mm).all():
        return float("inf")
    apart_mm = float(np.linalg.norm(steps_mm, axis=1).max())
    voxel_mm = np.linalg.norm(sform_mm[:3, :3], axis=0).min()
    return apart_mm if apart_mm > _SAME_PLACE_VOXELS * voxel_mm else 0.0
