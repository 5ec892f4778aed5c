"""Reading label maps from image files, and writing them as NIfTI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_names import LabelNames
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.formats.images import IMAGE_ENDINGS, Image, read_image
from vecsetx.formats.lattice import with_round_ends
from vecsetx.formats.name_tables import (
    label_extension,
    names_beside,
    table_beside,
    unread_beside,
)
from vecsetx.formats.own_results import reconstruction_extension
from vecsetx.limits import VOXELS

_WHOLE_WITHIN = 1e-3
"""A value at most this far from a whole number is that label."""

_FLOAT_SHARE = float(np.finfo(np.float32).eps)
"""How far off float32 voxels, or a float32 slope in the header, may be, as a share of the label."""

_MANY_VALUES, _SAME_SHARE = 50, 0.5
"""An image has more values than this, and fewer voxels with the value of the next one."""

_EVERY, _STRAY = 3, 9
"""Every third line of voxels tells as much as all of them; images go lower than -9."""


def read_label_map(
    path: Path,
    may_be_empty: bool = False,
    names_matter: bool = True,
    most_voxels: int = VOXELS,
) -> LabelMap:
    """Read a label map from an image file: NIfTI, NRRD or MetaImage.

    Its ids have the names that the file itself gives them, or else those of a table beside it
    (:mod:`vecsetx.formats.name_tables`). Values within 0.001 of a whole number are rounded to it.

    Args:
        path: The file.
        may_be_empty: Whether a map with only background is accepted.
        names_matter: Whether its ids are read by its names. If not, a table beside the map that
            cannot be read gets a remark.
        most_voxels: Most voxels that are read.

    Raises:
        InputError: The file is missing or unreadable, is not 3-D, has values that are not labels
            (farther than 0.001 from a whole number, negative, too large or not finite), has only
            background, or its affine is singular; or names are in a table that cannot be read.
    """
    return label_map_of(read_image(path, most_voxels), path, may_be_empty, names_matter)


def label_map_of(
    image: Image, path: Path, may_be_empty: bool = False, names_matter: bool = True
) -> LabelMap:
    """Return the label map that an image holds; the rest is as in :func:`read_label_map`."""
    labels, rounded = _whole_labels(_three_dimensional(image.values, path), path)
    _check_no_image(labels, path)
    if not (may_be_empty or labels.any()):
        raise InputError(
            f"{path}: the label map is empty (every voxel is 0); segment the heart or leave the "
            "file out"
        )
    names, remarks = _names(image, path, names_matter)
    label_map = LabelMap(labels, image.affine, image.remarks + rounded + remarks, names)
    return with_round_ends(label_map, image.cropped_axes)


def name_table_of(path: Path) -> Path | None:
    """Return the file beside a label map that names its ids; None if there is none."""
    return table_beside(path, _stem(path))


def tables_of(path: Path) -> tuple[Path, ...]:
    """Return the file beside a label map that names its ids, and those that remarks refuse."""
    table = name_table_of(path)
    return (*([table] if table else []), *unread_beside(path, _stem(path)))


def _stem(path: Path) -> str:
    ending = next((e for e in IMAGE_ENDINGS if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(ending)]


def write_label_map(
    label_map: LabelMap,
    path: Path,
    structures: Sequence[str] = (),
    label_set: LabelSet | None = None,
    inferred: Mapping[str, float] | None = None,
) -> None:
    """Write a label map as NIfTI (``.nii`` or ``.nii.gz``), in mm, atomically.

    Args:
        label_map: The map.
        path: The file.
        structures: Structures of the map, whose names go into the header.
        label_set: The label set that defines their ids; None: the header has no names.
        inferred: Of a reconstruction: structure → inferred share of its voxels, which the header
            says; None: it is a segmentation.
    """
    import nibabel as nib

    image = nib.Nifti1Image(label_map.labels, label_map.affine)
    image.header.set_xyzt_units("mm")
    if label_set:
        image.header.extensions.append(label_extension(structures, label_set))
    if inferred is not None:
        image.header.extensions.append(reconstruction_extension(inferred))
    with written_whole(path) as unfinished:
        nib.save(image, unfinished)


def _three_dimensional(values: np.ndarray, path: Path) -> np.ndarray:
    """Return the values ``[I, J, K]``, without further axes of length 1, such as one of time.

    Raises:
        InputError: They have another number of dimensions.
    """
    shape = values.shape
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 3:
        return values
    if values.ndim < 3:
        remedy = "it is a single slice, so give the whole volume"
    else:
        remedy = "it is a series, or has a channel per structure (one-hot): export one label map"
        remedy += ", or give the frames of a cycle to vecsetx reconstruct --frames"
    raise InputError(
        f"{path}: a label map has 3 dimensions, this image has shape {shape}; {remedy}"
    )


def _names(
    image: Image, path: Path, names_matter: bool
) -> tuple[LabelNames | None, tuple[str, ...]]:
    """Return the names in a file, or else in a table beside it; and remarks on the tables.

    Raises:
        InputError: The names matter, the file has none, and the table cannot be read.
    """
    remarks = [
        f"{file} is no table of names that can be read, and was ignored; a table has columns index "
        "and name (BIDS), or the form of ITK-SNAP or 3D Slicer"
        for file in unread_beside(path, _stem(path))
    ]
    beside = None
    if table := name_table_of(path):
        try:
            beside = names_beside(table)
        except InputError as error:
            if names_matter and image.names is None:
                raise
            remarks.append(f"{error}; the table was ignored")
    if image.names and beside and (differs := image.names.contradiction_by(beside)):
        remarks.append(differs)
    return image.names or beside, tuple(remarks)


def _whole_labels(values: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the values as unsigned integers, and a remark if they had to be rounded."""
    if values.size == 0:
        raise InputError(f"{path}: has no voxels, its shape is {values.shape}; export it again")
    low, high, off = _range(values, path)
    if low < 0 or high > np.iinfo(np.uint16).max:
        remedy = "this looks like an image: give a label map"
        if -_STRAY <= low < 0 and high <= np.iinfo(np.uint16).max:
            remedy = f"{low} is not a label: set such voxels to 0, or to the id that is meant"
        raise InputError(
            f"{path}: values range from {low} to {high}; labels range from 0 to 65535, so {remedy}"
        )
    smallest = np.uint8 if high < 256 else np.uint16
    if values.dtype.kind in "iu":
        return values.astype(smallest, copy=False), ()
    labels = np.empty_like(values, smallest)
    for k in range(values.shape[2]):
        labels[..., k] = np.rint(values[..., k])
    # What floating-point numbers cannot tell apart was not rounded by us.
    if off <= _FLOAT_SHARE * max(high, 1):
        return labels, ()
    return labels, (f"values lie up to {off:.1g} from whole numbers, to which they were rounded",)


def _check_no_image(labels: np.ndarray, path: Path) -> None:
    """Refuse an image of grey values: they differ from voxel to voxel, and labels do not."""
    if labels.max() < _MANY_VALUES:
        return
    some = labels[:, ::_EVERY, ::_EVERY]
    values = np.count_nonzero(np.bincount(some.ravel())[1:])
    both = (some[1:] > 0) & (some[:-1] > 0)
    same = np.count_nonzero(both & (some[1:] == some[:-1]))
    if values > _MANY_VALUES and same < _SAME_SHARE * np.count_nonzero(both):
        raise InputError(
            f"{path}: has over {_MANY_VALUES} different values, and most voxels differ from their "
            "neighbours, so this looks like an image: give its label map"
        )


def _range(values: np.ndarray, path: Path) -> tuple[int, int, float]:
    """Return the lowest and highest label, and how far the values are from whole numbers.

    Raises:
        InputError: The values are no whole numbers.
    """
    if values.dtype.kind in "iu":
        return int(values.min()), int(values.max()), 0.0
    if values.dtype.kind != "f":
        raise InputError(
            f"{path}: its voxels are colours or complex numbers, not labels; give a label map with "
            "one whole number per voxel"
        )
    low, high, off = np.inf, -np.inf, 0.0  # programs store labels as floats, too, or scale them
    for k in range(values.shape[2]):  # slice by slice, which takes little memory
        labels = np.rint(values[..., k])
        with np.errstate(invalid="ignore"):  # the difference of infinities is NaN
            apart = float(np.abs(values[..., k] - labels).max())
        if not np.isfinite(labels).all():
            raise InputError(
                f"{path}: has voxels that are NaN or infinite; save it as whole numbers, with 0 "
                "for the background"
            )
        low, high = min(low, float(labels.min())), max(high, float(labels.max()))
        if apart > max(_WHOLE_WITHIN, _FLOAT_SHARE * high):
            raise _not_whole(path, values[..., k])
        off = max(off, apart)
    return int(low), int(high), off


def _not_whole(path: Path, values: np.ndarray) -> InputError:
    """Say which of a slice's values is farthest from a whole number."""
    value = values.ravel()[np.abs(values - np.rint(values)).argmax()]
    return InputError(
        f"{path}: has values that are not whole numbers, such as {value:.4g}; this is an image or "
        "a probability map, so give a label map"
    )
