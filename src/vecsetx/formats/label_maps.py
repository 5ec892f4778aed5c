"""Reading label maps from image files, and writing them as NIfTI."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.formats.images import read_image


def read_label_map(path: Path, may_be_empty: bool = False) -> LabelMap:
    """Read a label map from an image file: NIfTI, NRRD or MetaImage.

    Args:
        path: The file.
        may_be_empty: Whether a map with only background is accepted.

    Raises:
        InputError: The file is missing or unreadable, is not a 3-D image, has values that are not
            labels (fractional, negative, too large or not finite), has only background, or its
            affine is singular.
    """
    image = read_image(path)
    values = image.values
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]  # some programs write a time axis of length 1
    if values.ndim != 3:
        raise InputError(
            f"{path}: a label map has 3 dimensions, this image has shape {values.shape}; export a "
            "single frame"
        )
    labels = _whole_labels(values, path)
    if not (may_be_empty or labels.any()):
        raise InputError(
            f"{path}: the label map is empty (every voxel is 0); segment the heart or leave the "
            "file out"
        )
    return LabelMap(labels, image.affine, image.remarks)


def write_label_map(label_map: LabelMap, path: Path) -> None:
    """Write a label map as NIfTI (``.nii`` or ``.nii.gz``), in mm, atomically."""
    image = nib.Nifti1Image(label_map.labels, label_map.affine)
    image.header.set_xyzt_units("mm")
    with written_whole(path) as unfinished:
        nib.save(image, unfinished)


def _whole_labels(values: np.ndarray, path: Path) -> np.ndarray:
    if values.size == 0:
        raise InputError(f"{path}: has no voxels, its shape is {values.shape}; export it again")
    # Programs also store labels as floating-point numbers.
    whole = values.dtype.kind in "iu" or (
        values.dtype.kind == "f" and bool(np.isfinite(values).all() and (values % 1 == 0).all())
    )
    if not whole:
        raise InputError(
            f"{path}: has values that are not whole numbers; this is an image or a probability "
            "map, so give a label map"
        )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise InputError(
            f"{path}: values range from {low} to {high}; labels range from 0 to 65535, so this "
            "looks like an image: give a label map"
        )
    return values.astype(np.uint8 if high < 256 else np.uint16, copy=False)
