"""Image files: their voxel values, and the affine that maps voxel indices to RAS+ mm.

nibabel reads NIfTI; ITK reads NRRD and MetaImage (:mod:`vecsetx.formats.itk`); highdicom reads
DICOM segmentations (:mod:`vecsetx.formats.dicom_seg`). Remarks report what
a header leaves unspecified or contradicts itself about.
"""

import gzip
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import LoggingOutputSuppressor
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from vecsetx.anatomy.label_names import LabelNames
from vecsetx.errors import InputError
from vecsetx.formats.name_tables import names_in_extensions

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

NIFTI_ENDINGS = (".nii.gz", ".nii")
ITK_ENDINGS = (".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")
_DICOM_ENDING = ".dcm"
IMAGE_ENDINGS = (*NIFTI_ENDINGS, *ITK_ENDINGS, _DICOM_ENDING)
"""File extensions of the supported image formats; longer ones before their suffixes."""

_FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or DICOM SEG (.dcm)"

# By unit code of the NIfTI-1 header: unspecified, metre, millimetre, micrometre.
_MM_PER_SPACE_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}

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
    """

    values: np.ndarray
    affine: np.ndarray
    remarks: tuple[str, ...] = ()
    names: LabelNames | None = None


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

        reader = dicom_seg if path.name.lower().endswith(_DICOM_ENDING) else itk
        values, affine, remarks, names = reader.read_values(path)
        return Image(values, _regular(affine, path), remarks, names)
    try:
        # Decompress the whole file, because only then is gzip's checksum verified.
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
        # The header's size, an int32 in either byte order: 540 in NIfTI-2, 348 in NIfTI-1.
        second = content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
        with LoggingOutputSuppressor():
            image = (nib.Nifti2Image if second else nib.Nifti1Image).from_bytes(content)
            values = np.asarray(image.dataobj)
            affine, remarks = _nifti_affine(image, path)
            names = names_in_extensions(image, path)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
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
        try:
            with LoggingOutputSuppressor():
                image: Any = nib.load(path)
                shape, (affine, _) = image.shape, _nifti_affine(image, path)
        except InputError:
            raise
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
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
    try:
        with LoggingOutputSuppressor():
            header: Any = nib.load(path).header
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return int(header["sform_code"]), int(header["qform_code"])


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


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as a NIfTI image ({error}); copy or export it again")


def _nifti_affine(image: nib.Nifti1Image, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
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
    if not (image.header["sform_code"] > 0 or image.header["qform_code"] > 0):
        remarks.append(
            "the header gives no orientation (neither sform nor qform); left and right are a guess"
        )
    elif moved_mm := _disagreement_mm(image, affine, _MM_PER_SPACE_UNIT[code]):
        remarks.append(f"sform and qform disagree by up to {moved_mm:.3g} mm; the sform is used")
    return affine, tuple(remarks)


def _disagreement_mm(image: nib.Nifti1Image, sform_mm: np.ndarray, mm_per_unit: float) -> float:
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
    if not np.isfinite(affine).all() or flat:
        raise InputError(
            f"{path}: the affine is singular or not finite, so voxels have no position in mm; "
            "repair the header"
        )
    return affine
