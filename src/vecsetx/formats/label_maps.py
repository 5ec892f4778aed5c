"""Reading label maps from image files, and writing them as NIfTI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.formats.images import IMAGE_ENDINGS, read_image
from vecsetx.formats.name_tables import label_extension, names_beside, table_beside


def read_label_map(path: Path, may_be_empty: bool = False) -> LabelMap:
    """Read a label map from an image file: NIfTI, NRRD or MetaImage.

    Its ids have the names that the file itself gives them, or else those of a table beside it
    (:mod:`vecsetx.formats.name_tables`).

    Args:
        path: The file.
        may_be_empty: Whether a map with only background is accepted.

    Raises:
        InputError: The file is missing or unreadable, is not a 3-D image, has values that are not
            labels (fractional, negative, too large or not finite), has only background, or its
            affine is singular; or a table of names cannot be read.
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
    names = image.names
    if names is None and (table := name_table_of(path)):
        names = names_beside(table)
    return LabelMap(labels, image.affine, image.remarks, names)


def name_table_of(path: Path) -> Path | None:
    """Return the file beside a label map that names its ids; None if there is none."""
    ending = next((e for e in IMAGE_ENDINGS if path.name.lower().endswith(e)), "")
    return table_beside(path, path.name[: len(path.name) - len(ending)])


def write_label_map(
    label_map: LabelMap,
    path: Path,
    structures: Sequence[str] = (),
    label_set: LabelSet | None = None,
) -> None:
    """Write a label map as NIfTI (``.nii`` or ``.nii.gz``), in mm, atomically.

    Args:
        label_map: The map.
        path: The file.
        structures: Structures of the map, whose names go into the header.
        label_set: The label set that defines their ids; None: the header has no names.
    """
    image = nib.Nifti1Image(label_map.labels, label_map.affine)
    image.header.set_xyzt_units("mm")
    if label_set:
        image.header.extensions.append(label_extension(structures, label_set))
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
