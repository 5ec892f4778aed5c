"""Masks: one image file per structure, all on one grid, as TotalSegmentator writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.formats.images import grid_corners
from vecsetx.formats.label_maps import read_label_map

__all__ = ["read_mask", "read_masks"]

_WHOLE_HEART = "Heart"  # all other structures take precedence over it
_OVERLAP_SHARE = 0.01  # largest overlap of two masks, as a fraction of the smaller one
_SAME_GRID_VOXELS = 1e-3  # largest displacement between grids that count as the same


def read_masks(files: Mapping[str, Path], structures: Sequence[str]) -> LabelMap:
    """Combine the masks of a heart into one label map.

    A voxel in several masks goes to the smallest of them; the whole heart counts as the largest.

    Args:
        files: Structure name → mask file, with the value 0 outside and any other single integer
            inside. A mask may be empty: its structure is annotated but absent.
        structures: Names of the K structures to read; those without a file are absent.

    Returns:
        Labels 1…K in the order of ``structures``, with a remark on every overlap.

    Raises:
        InputError: A file is not a valid mask, two grids differ, two masks overlap by more than
            1 % of the smaller one, or all masks are empty.
    """
    wanted = [name for name in structures if name in files]
    if not wanted:
        raise InputError(
            f"none of {', '.join(structures)} has a mask; name each file after its structure"
        )
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
    by_size = sorted(wanted, key=lambda name: (name != _WHOLE_HEART, -len(voxels[name])))
    for name in by_size:  # the largest first, so that smaller ones overwrite it
        remarks += _overlaps(name, voxels, labels[voxels[name]], structures, files)
        labels[voxels[name]] = structures.index(name) + 1
    return LabelMap(labels.reshape(first.shape, order="F"), first.affine, tuple(remarks))


def read_mask(path: Path) -> LabelMap:
    """Read one structure's mask: 0 outside, any other single integer inside.

    Raises:
        InputError: The file is not a valid label map, or has several labels.
    """
    mask = read_label_map(path, may_be_empty=True)
    values = mask.labels.ravel(order="F")[_inside(mask)]
    if len(values) and (other := values[values != values[0]]).size:
        raise InputError(
            f"{path}: a mask has one value besides 0, this one has {values[0]} and {other[0]}; "
            "give a label map of several structures as a single file"
        )
    return mask


def _inside(mask: LabelMap) -> np.ndarray:
    """Return the flat indices of the voxels inside, in Fortran order, which image files use."""
    return np.flatnonzero(mask.labels.ravel(order="F"))


def _check_same_grid(first: LabelMap, first_path: Path, mask: LabelMap, path: Path) -> None:
    if mask.shape != first.shape:
        difference = f"{first.shape} and {mask.shape} voxels"
    else:
        corners = grid_corners(mask.shape)
        moved = np.abs(first.to_indices(mask.to_mm(corners)) - corners).max()
        if moved <= _SAME_GRID_VOXELS:
            return
        difference = f"displaced by up to {moved:.3g} voxels"
    raise InputError(
        f"{path}: its grid differs from that of {first_path.name} ({difference}); resample all "
        "masks of a heart to one grid"
    )


def _overlaps(
    name: str,
    voxels: Mapping[str, np.ndarray],
    covered: np.ndarray,
    structures: Sequence[str],
    files: Mapping[str, Path],
) -> list[str]:
    """Return remarks on the larger masks that share voxels with ``name``.

    Raises:
        InputError: An overlap is too large.
    """
    remarks = []
    shared = np.bincount(covered, minlength=len(structures) + 1)
    for other, count in zip(structures, shared[1:].tolist(), strict=True):
        if count == 0 or other == _WHOLE_HEART:
            continue
        if count > _OVERLAP_SHARE * len(voxels[name]):
            raise InputError(
                f"{files[name]}: {count} of its {len(voxels[name])} voxels are also in "
                f"{files[other].name}; remove them from one of the two"
            )
        remarks.append(f"{name} and {other} share {count} voxels; they were given to {name}")
    return remarks
