"""One image file per structure, as TotalSegmentator writes them: masks of one heart on one grid."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.formats.images import grid_corners
from vecsetx.formats.label_maps import read_label_map

WHOLE_HEART = "Heart"
"""The structure that gives way to every named part of it."""

OVERLAP_SHARE = 0.01
"""Two masks may share up to this share of the smaller one; it then keeps the shared voxels."""

_SAME_GRID_VOXELS = 1e-3


def read_masks(files: Mapping[str, Path], structures: Sequence[str]) -> LabelMap:
    """Make one label map of the masks of a heart.

    Voxels in several masks go to the smallest of them, and to the whole heart last of all.

    Args:
        files: Structure name → mask, 0 outside and any one whole number inside. A mask may be
            empty: its structure is annotated and absent.
        structures: Names of the K structures wanted; those without a file are absent.

    Returns:
        Labels 1…K in the order of ``structures``, with a remark on every overlap.

    Raises:
        InputError: A file is no usable mask, two grids differ, two masks overlap by more than
            :data:`OVERLAP_SHARE`, or no mask holds a voxel.
    """
    wanted = [name for name in structures if name in files]
    if not wanted:
        raise InputError(f"none of {', '.join(structures)} has a mask; name the files after them")
    first = read_mask(files[wanted[0]])
    remarks = list(first.remarks)
    voxels: dict[str, np.ndarray] = {}
    for name in wanted:
        mask = first if name == wanted[0] else read_mask(files[name])
        _check_same_grid(first, files[wanted[0]], mask, files[name])
        remarks += [remark for remark in mask.remarks if remark not in remarks]
        voxels[name] = _inside(mask)
    if not any(len(inside) for inside in voxels.values()):
        raise InputError(
            f"{files[wanted[0]].parent}: every mask is empty; segment the heart or leave it out"
        )
    labels = np.zeros(first.labels.size, np.uint8)
    by_size = sorted(wanted, key=lambda name: (name != WHOLE_HEART, -len(voxels[name])))
    for name in by_size:
        remarks += _overlaps(name, voxels, labels[voxels[name]], structures, files)
        labels[voxels[name]] = structures.index(name) + 1
    return LabelMap(labels.reshape(first.shape, order="F"), first.affine, tuple(remarks))


def read_mask(path: Path) -> LabelMap:
    """Read one structure's mask: 0 outside, any one other number inside.

    Raises:
        InputError: No usable label map, or one with several labels.
    """
    mask = read_label_map(path, may_be_empty=True)
    values = mask.labels.ravel(order="F")[_inside(mask)]
    if len(values) and (other := values[values != values[0]]).size:
        raise InputError(
            f"{path}: a mask holds 0 and one other value, this one {values[0]} and {other[0]}; "
            "give a label map of several structures as a file of its own"
        )
    return mask


def _inside(mask: LabelMap) -> np.ndarray:
    """Numbers of the voxels inside, counted in Fortran's order, which is that of image files."""
    return np.flatnonzero(mask.labels.ravel(order="F"))


def _check_same_grid(first: LabelMap, first_path: Path, mask: LabelMap, path: Path) -> None:
    if mask.shape != first.shape:
        difference = f"{first.shape} and {mask.shape} voxels"
    else:
        corners = grid_corners(mask.shape)
        moved = np.abs(first.to_indices(mask.to_mm(corners)) - corners).max()
        if moved <= _SAME_GRID_VOXELS:
            return
        difference = f"places that differ by up to {moved:.3g} voxels"
    raise InputError(
        f"{path}: lies on another grid than {first_path.name} ({difference}); resample all masks "
        "of a heart to one grid"
    )


def _overlaps(
    name: str,
    voxels: Mapping[str, np.ndarray],
    covered: np.ndarray,
    structures: Sequence[str],
    files: Mapping[str, Path],
) -> list[str]:
    """Remarks on the masks whose voxels ``name``, not larger than they, is about to take."""
    remarks = []
    shared = np.bincount(covered, minlength=len(structures) + 1)
    for other, count in zip(structures, shared[1:].tolist(), strict=True):
        if count == 0 or other == WHOLE_HEART:
            continue
        if count > OVERLAP_SHARE * len(voxels[name]):
            raise InputError(
                f"{files[name]}: {count} of its {len(voxels[name])} voxels are in "
                f"{files[other].name} too; take them out of one of the two"
            )
        remarks.append(f"{name} and {other} share {count} voxels; they were given to {name}")
    return remarks
