"""Label maps: reading them with their affine, writing them back, naming what their ids mean."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import error as ZlibError

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, SpatialImage

from vecsetx.anatomy.structures import LabelSet
from vecsetx.errors import InputError
from vecsetx.files import written_whole

# By the codes of the NIfTI-1 header: not stated, metre, millimetre, micrometre.
_MM_PER_SPACE_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


@dataclass(frozen=True, slots=True)
class LabelMap:
    """A grid of whole-number labels in the scanner's space.

    Attributes:
        labels: Integers ``[I, J, K]``, 0 for background.
        affine: ``[4, 4]``, from voxel indices (centres at whole numbers) to RAS+ mm.
    """

    labels: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis of the array."""
        i, j, k = self.labels.shape
        return i, j, k

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along each axis of the array, ``[3]`` mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_mm(self, indices: np.ndarray) -> np.ndarray:
        """Voxel indices ``[..., 3]`` (fractions allowed) to RAS+ mm."""
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_indices(self, points_mm: np.ndarray) -> np.ndarray:
        """RAS+ mm ``[..., 3]`` to fractional voxel indices."""
        return (points_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def named(self, label_set: LabelSet, structures: tuple[str, ...], source: str) -> LabelMap:
        """The same grid with labels 1…K that follow ``structures``; others become background.

        Args:
            label_set: What the ids mean.
            structures: Names; the k-th gets label ``k + 1``.
            source: The file's name, for errors.

        Raises:
            InputError: The map holds ids that the label set does not know, or none that it names.
        """
        seen = np.zeros(int(self.labels.max()) + 1, dtype=bool)
        seen[self.labels] = True  # ten times faster than sorting them all with np.unique
        present = np.flatnonzero(seen)
        if unknown := label_set.unknown(present.tolist()):
            raise InputError(
                f"{source}: ids {unknown} are not in label set {label_set.name} "
                f"(it knows {sorted(label_set.ids)}); choose another with --labels"
            )
        lookup = np.zeros(len(seen), dtype=np.uint8)
        for label_id, name in label_set.ids.items():
            if label_id < len(lookup) and name in structures:
                lookup[label_id] = structures.index(name) + 1
        if not lookup[present].any():
            raise InputError(
                f"{source}: holds none of the structures {', '.join(structures)} "
                f"under label set {label_set.name} (ids found: {present.tolist()})"
            )
        return LabelMap(lookup[self.labels], self.affine)

    def numbered(self, label_set: LabelSet, structures: tuple[str, ...]) -> LabelMap:
        """The reverse of :meth:`named`: labels 1…K back to the label set's own ids."""
        lookup = np.array([0, *(label_set.id_of(name) for name in structures)])
        smallest = np.uint8 if lookup.max() < 256 else np.uint16
        return LabelMap(lookup.astype(smallest)[self.labels], self.affine)

    def without(self, dropped: Iterable[int]) -> LabelMap:
        """The same map with some labels made background."""
        return LabelMap(np.where(np.isin(self.labels, list(dropped)), 0, self.labels), self.affine)

    def every(self, stride: int) -> LabelMap:
        """Every ``stride``-th voxel along each axis: the same places in mm, fewer of them."""
        affine = self.affine.copy()
        affine[:3, :3] *= stride
        return LabelMap(self.labels[::stride, ::stride, ::stride], affine)


def read_label_map(path: Path) -> LabelMap:
    """Read a label map from a NIfTI file.

    Lengths in other units than mm (the header says so) are converted.

    Raises:
        InputError: The file is missing or unreadable, is no 3-D image, holds values that are no
            labels (fractions, negative or not finite) or only background, or its affine is
            singular.
    """
    image = _open(path)
    try:
        values = np.asarray(image.dataobj)
        if path.suffix == ".gz":
            _check_sum(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise InputError(
            f"{path}: a label map has 3 dimensions, this image has shape {values.shape}"
        )
    return LabelMap(_whole_labels(values, path), _affine_mm(image, path))


def read_grid(path: Path) -> tuple[tuple[int, int, int], np.ndarray]:
    """The grid of any NIfTI image: voxels along each axis, and ``[4, 4]`` from indices to RAS+ mm.

    Raises:
        InputError: The file is missing or unreadable, or its affine is singular.
    """
    image = _open(path)
    if len(image.shape) < 3:
        raise InputError(f"{path}: has no grid of 3 dimensions, its shape is {image.shape}")
    i, j, k = image.shape[:3]
    return (i, j, k), _affine_mm(image, path)


def write_label_map(label_map: LabelMap, path: Path) -> None:
    """Write a label map as NIfTI (``.nii`` or ``.nii.gz``), in mm, whole or not at all."""
    image = nib.Nifti1Image(label_map.labels, label_map.affine)
    image.header.set_xyzt_units("mm")
    with written_whole(path) as unfinished:
        nib.save(image, unfinished)


_UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, ZlibError)


def _open(path: Path) -> SpatialImage:
    if not path.exists():
        raise InputError(f"{path}: no such file; give a NIfTI label map (.nii or .nii.gz)")
    try:
        image = nib.load(path)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, SpatialImage):
        raise InputError(f"{path}: holds no grid of voxels; give a NIfTI label map")
    return image


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: cannot be read as a NIfTI image, so copy or export it anew: {error}"
    )


def _check_sum(path: Path) -> None:
    # nibabel stops after the last voxel, before gzip's checksum, and so misses damaged files.
    with gzip.open(path) as file:
        while file.read(1 << 22):
            continue


def _whole_labels(values: np.ndarray, path: Path) -> np.ndarray:
    whole = values.dtype.kind in "iu" or (
        values.dtype.kind == "f" and bool(np.isfinite(values).all() and (values % 1 == 0).all())
    )
    if not whole:
        raise InputError(
            f"{path}: holds values that are no whole numbers; this is an image or a "
            "probability map, not a label map"
        )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise InputError(
            f"{path}: values run from {low} to {high}; labels run from 0 to 65535, so this "
            "looks like an image, not a label map"
        )
    if high == 0:
        raise InputError(
            f"{path}: the label map is empty (every voxel is 0); segment the heart or leave it out"
        )
    return values.astype(np.uint8 if high < 256 else np.uint16)


def _affine_mm(image: SpatialImage, path: Path) -> np.ndarray:
    affine = np.array(image.affine, dtype=np.float64)
    if isinstance(image, nib.Nifti1Pair):
        code = int(image.header["xyzt_units"]) % 8
        if code not in _MM_PER_SPACE_UNIT:
            raise InputError(
                f"{path}: the header gives lengths in unit {code}, which NIfTI does not define; "
                "repair xyzt_units (2 is mm)"
            )
        affine[:3] *= _MM_PER_SPACE_UNIT[code]
    edges = affine[:3, :3]
    flat = abs(np.linalg.det(edges)) <= 1e-6 * np.linalg.norm(edges, axis=0).prod()
    if not np.isfinite(affine).all() or flat:
        raise InputError(
            f"{path}: the affine is singular, so voxels have no place in mm; repair the header"
        )
    return affine
