"""Image files: their voxel values, and the affine that maps voxel indices to RAS+ mm.

nibabel reads NIfTI (:mod:`vecsetx.formats.nifti`); ITK reads NRRD and MetaImage
(:mod:`vecsetx.formats.itk`); highdicom reads DICOM segmentations
(:mod:`vecsetx.formats.dicom_seg`).
Remarks report what a header leaves unspecified or contradicts itself about.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from vecsetx.anatomy.label_names import LabelNames
from vecsetx.errors import InputError
from vecsetx.formats import nifti
from vecsetx.formats.affines import check_size, regular
from vecsetx.formats.nifti_pairs import PAIR_ENDINGS
from vecsetx.formats.unpacking import check_voxel_count
from vecsetx.limits import VOXEL_MM, VOXELS
from vecsetx.special_files import check_no_device

__all__ = [
    "IMAGE_ENDINGS",
    "ITK_ENDINGS",
    "NIFTI_ENDINGS",
    "Image",
    "form_codes",
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


def read_image(path: Path, most_voxels: int = VOXELS) -> Image:
    """Read an image file.

    Lengths that the header gives in units other than mm are converted.

    Args:
        path: The file.
        most_voxels: Most voxels that are read.

    Raises:
        InputError: The file is missing, unreadable, damaged or truncated, its header claims too
            many voxels or more than it can hold, or its affine is singular or not finite.
    """
    values, affine, remarks, names = _reader(path).read_values(path, most_voxels)
    # DICOM leaves out slices without segments; 3D Slicer can crop a segmentation.
    is_dicom, is_itk = (path.name.lower().endswith(e) for e in (_DICOM_ENDING, ITK_ENDINGS))
    cropped_axes = (0,) if is_dicom else (0, 1, 2) if is_itk and names else ()
    return Image(values, regular(affine, path), remarks, names, cropped_axes)


def read_grid(path: Path, most_voxels: int = VOXELS) -> tuple[tuple[int, int, int], np.ndarray]:
    """Read only the grid of an image, which may have any values.

    Args:
        path: The file.
        most_voxels: Most voxels that the grid may have.

    Returns:
        The number of voxels along each axis, and the affine ``[4, 4]`` from voxel indices to RAS+
        mm.

    Raises:
        InputError: The file is missing or unreadable, has fewer than 3 dimensions or too many
            voxels, its affine is singular, or its voxels are smaller than 0.02 mm or larger than
            20 mm.
    """
    shape, affine = _reader(path).read_grid(path)
    if len(shape) < 3:
        raise InputError(f"{path}: not a 3-D image, its shape is {shape}; give one that is")
    i, j, k = shape[:3]
    check_voxel_count((i, j, k), 1, most_voxels, path)
    check_size(regular(affine, path), VOXEL_MM, path)
    return (i, j, k), affine


def form_codes(path: Path) -> tuple[int, int] | None:
    """Return the codes of sform and qform in a NIfTI header; None for other formats.

    Raises:
        InputError: The file is missing or unreadable.
    """
    return nifti.form_codes(path) if _reader(path) is nifti else None


def _reader(path: Path) -> ModuleType:
    """Return the module that reads the file, after a look whether it is there."""
    _check_there(path)
    if path.name.lower().endswith(NIFTI_ENDINGS):
        return nifti
    # Here, because these are slow to import, and NIfTI does not need them.
    from vecsetx.formats import dicom_seg
    from vecsetx.formats.itk import images

    return dicom_seg if path.name.lower().endswith(_DICOM_ENDING) else images


def _check_there(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a link to {path.readlink()}, which does not exist")
    if not path.exists():
        raise InputError(f"{path}: no such file; give an image as {_FORMATS}")
    check_no_device(path)
    if not is_image(path):
        raise InputError(f"{path}: unsupported image format; give {_FORMATS}")
    try:
        with open(path, "rb"):
            pass
    except PermissionError:
        raise InputError(f"{path}: permission denied; make the file readable") from None
    except OSError as error:
        raise nifti.unreadable(path, error) from error
