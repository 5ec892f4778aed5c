"""Image files: their voxel values, and the affine that maps voxel indices to RAS+ mm.

nibabel reads NIfTI; ITK reads NRRD and MetaImage (:mod:`vecsetx.formats.itk`); highdicom reads
DICOM segmentations (:mod:`vecsetx.formats.dicom_seg`). Whether NIfTI is compressed shows in its
first bytes, whatever its name says. Remarks report what a header leaves unspecified or contradicts
itself about.
"""

import gzip
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from itertools import product
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.imageglobals import logger as nibabel_logger
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from vecsetx.anatomy.label_map import SIDES_GUESSED
from vecsetx.anatomy.label_names import LabelNames
from vecsetx.errors import InputError
from vecsetx.formats.name_tables import names_in_extensions
from vecsetx.formats.nifti_pairs import PAIR_ENDINGS, is_pair, pair_files

__all__ = [
    "IMAGE_ENDINGS",
    "ITK_ENDINGS",
    "NIFTI_ENDINGS",
    "Image",
    "form_codes",
    "grid_corners",
    "is_image",
    "read_grid",
    "read_image",
]

NIFTI_ENDINGS = (".nii.gz", ".nii", *PAIR_ENDINGS)
ITK_ENDINGS = (".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")
_DICOM_ENDING = ".dcm"
IMAGE_ENDINGS = (*NIFTI_ENDINGS, *ITK_ENDINGS, _DICOM_ENDING)
"""File extensions of the supported image formats; longer ones before their suffixes."""

_FORMATS = (
    "NIfTI (.nii, .nii.gz, .hdr/.img), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or DICOM SEG "
    "(.dcm)"
)

_GZIP = b"\x1f\x8b"
# The header's size, an int32 in either byte order, and how NIfTI-1 differs from Analyze 7.5.
_NIFTI_2, _NIFTI_1 = (b"\x1c\x02\0\0", b"\0\0\x02\x1c"), (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
_NIFTI_1_BYTES, _NIFTI_2_BYTES = 348, 540
_MAGIC = (b"ni1", b"n+1")

# By unit code of the NIfTI-1 header: unspecified, metre, millimetre, micrometre.
_MM_PER_SPACE_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}

_FARTHEST_ORIGIN_MM = 1e5

_SAME_PLACE_VOXELS = 0.1
"""sform and qform agree if no corner of the grid differs by more than this."""

_UNREADABLE = (
    ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, ZlibError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Image:
    """An image as stored in its file.

    Attributes:
        values: Voxel values ``[I, J, K, …]`` of any type, in the order of the file's axes.
        affine: ``[4, 4]`` float64, maps voxel indices (integers at voxel centres) to RAS+ mm.
        remarks: Notes for the user on missing or contradictory header entries, as sentences.
        names: Names that the file itself gives its values; None if it gives none.
        cropped_axes: Axes along which the program may have saved only the part that it segmented.
    """

    values: np.ndarray
    affine: np.ndarray
    remarks: tuple[str, ...] = ()
    names: LabelNames | None = None
    cropped_axes: tuple[int, ...] = ()


def is_image(path: Path) -> bool:
    """Return whether the file has the extension of a supported image format."""
    return path.name.lower().endswith(IMAGE_ENDINGS)


def read_image(path: Path) -> Image:
    """Read an image file.

    Lengths that the header gives in units other than mm are converted.

    Raises:
        InputError: The file is missing, unreadable, damaged or truncated, or its affine is singular
            or not finite.
    """
    _check_there(path)
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        # Here, because these are slow to import, and NIfTI does not need them.
        from vecsetx.formats import dicom_seg, itk

        is_dicom = path.name.lower().endswith(_DICOM_ENDING)
        reader = dicom_seg if is_dicom else itk
        values, affine, remarks, names = reader.read_values(path)
        # DICOM leaves out slices without segments; 3D Slicer can crop a segmentation.
        cropped_axes = (0,) if is_dicom else (0, 1, 2) if names else ()
        return Image(values, _regular(affine, path), remarks, names, cropped_axes)
    files = _nifti_files(path)
    with _reading(path):
        streams = {kind: BytesIO(_content(file)) for kind, file in files.items()}
        image = _nifti(streams, path)
        affine, remarks = _nifti_affine(image, path)
        names = names_in_extensions(image, path)
    with _reading(files["image"]):
        _check_size(image, streams["image"].getbuffer().nbytes)
        values = np.asarray(image.dataobj)
    return Image(values, _regular(affine, path), remarks, names)


def read_grid(path: Path) -> tuple[tuple[int, int, int], np.ndarray]:
    """Read only the grid of an image, which may have any values.

    Returns:
        The number of voxels along each axis, and the affine ``[4, 4]`` from voxel indices to RAS+
        mm.

    Raises:
        InputError: The file is missing or unreadable, has fewer than 3 dimensions, or its affine is
            singular.
    """
    _check_there(path)
    shape: tuple[int, ...]
    if path.name.lower().endswith(NIFTI_ENDINGS):
        with _nifti_header(path) as image:
            shape, (affine, _) = image.shape, _nifti_affine(image, path)
    else:
        from vecsetx.formats import dicom_seg, itk

        reader = dicom_seg if path.name.lower().endswith(_DICOM_ENDING) else itk
        shape, affine = reader.read_grid(path)
    if len(shape) < 3:
        raise InputError(f"{path}: not a 3-D image, its shape is {shape}; give one that is")
    i, j, k = shape[:3]
    return (i, j, k), _regular(affine, path)


def form_codes(path: Path) -> tuple[int, int] | None:
    """Return the codes of sform and qform in a NIfTI header; None for other formats.

    Raises:
        InputError: The file is missing or unreadable.
    """
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        return None
    _check_there(path)
    with _nifti_header(path) as image:
        return int(image.header["sform_code"]), int(image.header["qform_code"])


def grid_corners(shape: tuple[int, ...]) -> np.ndarray:
    """Return the indices ``[8, 3]`` of the corner voxels."""
    return np.array(list(product(*((0.0, n - 1.0) for n in shape[:3]))))


def _check_there(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; give an image as {_FORMATS}")
    if not is_image(path):
        raise InputError(f"{path}: unsupported image format; give {_FORMATS}")
    try:
        with open(path, "rb"):
            pass
    except PermissionError:
        raise InputError(f"{path}: permission denied; make the file readable") from None
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Make what goes wrong while NIfTI is read an :class:`InputError` that names the file."""
    nibabel_logger.disabled = True  # what it says is said here, with the file's name
    try:
        yield
    except InputError:
        raise
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    finally:
        nibabel_logger.disabled = False


@contextmanager
def _nifti_header(path: Path) -> Iterator[nib.Nifti1Pair]:
    """Open a NIfTI image whose voxels are not read."""
    with _reading(path), ExitStack() as opened:
        files = _nifti_files(path)
        yield _nifti({k: opened.enter_context(_open(file)) for k, file in files.items()}, path)


def _unreadable(path: Path, error: Exception) -> InputError:
    why = " ".join(str(error).split())
    return InputError(f"{path}: cannot be read as a NIfTI image ({why}); copy or export it again")


def _nifti_files(path: Path) -> dict[str, Path]:
    """Return the files of a NIfTI image by what nibabel calls them."""
    if not is_pair(path):
        return {"image": path}
    header, voxels = pair_files(path)
    return {"header": header, "image": voxels}


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    # Decompress the whole file, because only then is gzip's checksum verified.
    return gzip.decompress(content) if content.startswith(_GZIP) else content


def _open(path: Path) -> BufferedIOBase:
    """Open a file, to be read in parts."""
    with open(path, "rb") as stream:
        is_compressed = stream.read(len(_GZIP)) == _GZIP
    if is_compressed:
        return gzip.open(path)
    return open(path, "rb")


def _nifti(streams: Mapping[str, BufferedIOBase], path: Path) -> nib.Nifti1Pair:
    """Read the header; the voxels are read when they are needed."""
    header = streams.get("header", streams["image"])
    start = header.read(_NIFTI_2_BYTES)
    header.seek(0)
    _check_nifti(start, path)
    second = start[:4] in _NIFTI_2
    if "header" in streams:
        kind = nib.Nifti2Pair if second else nib.Nifti1Pair
    else:
        kind = nib.Nifti2Image if second else nib.Nifti1Image
    return kind.from_file_map({name: FileHolder(fileobj=file) for name, file in streams.items()})


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


def _check_size(image: nib.Nifti1Pair, found: int) -> None:
    """Check that the file has the bytes of voxels that its header claims, before any is read."""
    voxels: Any = image.dataobj
    expected = voxels.offset + math.prod(map(int, voxels.shape)) * voxels.dtype.itemsize
    if expected > found:
        raise EOFError(f"truncated, has {found} of {expected} bytes")


def _nifti_affine(image: nib.Nifti1Pair, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the affine in mm, and remarks on it."""
    code = int(image.header["xyzt_units"]) % 8  # the higher bits are the unit of time
    if code not in _MM_PER_SPACE_UNIT:
        raise InputError(
            f"{path}: the header gives lengths in unit {code}, which NIfTI does not define; "
            "repair xyzt_units (2 is mm)"
        )
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _MM_PER_SPACE_UNIT[code]
    remarks = []
    if _MM_PER_SPACE_UNIT[code] != 1:
        unit = image.header.get_xyzt_units()[0]
        remarks.append(f"the header gives lengths in {unit}; they were converted to mm")
    if not image.header["sform_code"] > 0 and _without_spacing(image):
        remarks.append("the header gives no spacing; 1 mm is assumed where there is none")
    if not (image.header["sform_code"] > 0 or image.header["qform_code"] > 0):
        remarks.append(
            "the header gives no orientation (neither sform nor qform); its axes are taken to run "
            f"left, anterior and superior, so {SIDES_GUESSED}"
        )
    elif moved_mm := _disagreement_mm(image, affine, _MM_PER_SPACE_UNIT[code]):
        remarks.append(f"sform and qform disagree by up to {moved_mm:.3g} mm; the sform is used")
    return affine, tuple(remarks)


def _without_spacing(image: nib.Nifti1Pair) -> bool:
    """Return whether the header gives no spacing along some axis; nibabel then reads 1."""
    files = image.file_map
    stream: Any = files.get("header", files["image"]).fileobj
    stream.seek(0)
    raw = type(image.header).from_fileobj(stream, check=False)
    return bool((raw["pixdim"][1 : 1 + min(raw["dim"][0], 3)] == 0).any())


def _disagreement_mm(image: nib.Nifti1Pair, sform_mm: np.ndarray, mm_per_unit: float) -> float:
    """Return the largest displacement of a grid corner between sform and qform; 0 if they agree."""
    try:
        qform = image.header.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError):
        return float("inf")
    if qform is None or not image.header["sform_code"] > 0:
        return 0.0
    # Two affine maps of a box differ most at one of its corners.
    corners = grid_corners(image.shape)
    steps_mm = corners @ (qform[:3, :3] * mm_per_unit - sform_mm[:3, :3]).T
    steps_mm = steps_mm + qform[:3, 3] * mm_per_unit - sform_mm[:3, 3]
    if not np.isfinite(steps_mm).all():
        return float("inf")
    apart_mm = float(np.linalg.norm(steps_mm, axis=1).max())
    voxel_mm = np.linalg.norm(sform_mm[:3, :3], axis=0).min()
    return apart_mm if apart_mm > _SAME_PLACE_VOXELS * voxel_mm else 0.0


def _regular(affine: np.ndarray, path: Path) -> np.ndarray:
    edges = affine[:3, :3]
    with np.errstate(all="ignore"):  # entries may be infinite or NaN, which is checked below
        # Relative to perpendicular edges of these lengths, so that the voxel size does not matter.
        flat = abs(np.linalg.det(edges)) <= 1e-6 * np.linalg.norm(edges, axis=0).prod()
    if np.isfinite(affine).all() and np.abs(affine[:3, 3]).max() > _FARTHEST_ORIGIN_MM:
        raise InputError(
            f"{path}: its first voxel lies {np.abs(affine[:3, 3]).max() / 1000:.3g} m from the "
            "scanner's origin; repair the header"
        )
    if not np.isfinite(affine).all() or flat:
        raise InputError(
            f"{path}: the affine is singular or not finite, so voxels have no position in mm; "
            "repair the header"
        )
    return affine
