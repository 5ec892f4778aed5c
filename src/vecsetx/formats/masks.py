"""Masks: one image file per structure, as TotalSegmentator and 3D Slicer write them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import WHOLE_HEART
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.formats.lattice import PlacedMask, Placement, SharedGrid
from vecsetx.limits import VOXELS

__all__ = ["read_mask", "read_masks"]

_WHOLE_OF = {"LAA": "LA", "PML": "LV"}  # structures that others include in these
_OVERLAP_SHARE = 0.01  # largest overlap of two others, as a fraction of the smaller one
_GUESSED = "left and right are a guess"  # in remarks on headers without orientation
_SAME_PLACE_VOXELS = 1e-3  # largest displacement of voxels that coincide


def read_masks(
    files: Mapping[str, Path],
    structures: Sequence[str],
    absent: Collection[str] = (),
    remedy: str = "",
    most_voxels: int = VOXELS,
) -> LabelMap:
    """Combine the masks of a heart into one label map.

    The masks may be cropped, or have their axes swapped or flipped, if their voxel centres coincide
    within 0.001 voxel. A voxel in several masks goes to the smallest of them; the whole heart
    counts as the largest.

    Args:
        files: Structure name → mask file, with the value 0 outside and any other single integer
            inside.
        structures: Names of the K structures to read; those without a file are absent.
        absent: Structures that the heart lacks if their masks are empty. An empty mask of another
            structure gets a remark.
        remedy: What else to do if all masks are empty, for the error message.
        most_voxels: Most voxels of a mask, and of a grid around all masks.

    Returns:
        Labels 1…K in the order of ``structures``, with the axes of the first mask, on a grid around
        all masks. Remarks report overlaps, empty masks, grids that differ, and files that name
        their values otherwise.

    Raises:
        InputError: A file is not a valid mask, voxels of two masks do not coincide, the grid would
            have too many voxels, two masks overlap by more than 1% of the smaller one, or all
            masks are empty.
    """
    wanted = [name for name in structures if name in files]
    if not wanted:
        raise InputError(
            f"none of {', '.join(structures)} has a mask; name each file after its structure"
        )
    folder = files[wanted[0]].parent
    lattice, masks, remarks = _placed(files, wanted, most_voxels)
    remarks += _empty(folder, masks, absent, remedy)
    grid = SharedGrid.around(list(masks.values()), str(folder), most_voxels)
    remarks += grid.remarks
    voxels = {name: grid.voxels(mask) for name, mask in masks.items()}
    labels = np.zeros(grid.shape, np.uint8, order="F")
    flat = labels.ravel(order="K")  # a view, in the order of the flat indices
    by_size = sorted(wanted, key=lambda name: (name != WHOLE_HEART, -len(voxels[name])))
    for name in by_size:  # the largest first, so that smaller ones overwrite it
        remarks += _overlaps(name, voxels, flat[voxels[name]], structures, files)
        flat[voxels[name]] = structures.index(name) + 1
    return replace(grid.label_map(labels, lattice), remarks=tuple(remarks))


def read_mask(path: Path, most_voxels: int = VOXELS) -> LabelMap:
    """Read one structure's mask: 0 outside, any other single integer inside.

    Args:
        path: The file.
        most_voxels: Most voxels that are read.

    Raises:
        InputError: The file is not a valid label map, or has several labels.
    """
    mask = read_label_map(path, may_be_empty=True, most_voxels=most_voxels)
    values = mask.labels.ravel(order="F")[_inside(mask)]
    if len(values) and (values != values[0]).any():
        several = np.unique(values)
        shown = ", ".join(map(str, several[:3])) + (", …" if several[3:].size else "")
        raise InputError(
            f"{path}: a mask has one value besides 0, this one has {len(several)} ({shown}); "
            "give a label map of several structures as a single file, outside of a folder of masks"
        )
    return mask


def _contradiction(name: str, mask: LabelMap) -> list[str]:
    """Return a remark if a mask's own name for its value is another structure than ``name``."""
    if mask.names is None:
        return []
    own = mask.names.structures()
    return [
        f"{mask.names.source} say {value} {mask.names.names[value]}, but the file is named after "
        f"{name}, which was used"
        for value in mask.present()
        if own.get(value, name) != name
    ]


def _inside(mask: LabelMap) -> np.ndarray:
    """Return the flat indices of the voxels inside, in Fortran order, which image files use."""
    return np.flatnonzero(mask.labels.ravel(order="F"))


def _placed(
    files: Mapping[str, Path], wanted: Sequence[str], most_voxels: int
) -> tuple[np.ndarray, dict[str, PlacedMask], list[str]]:
    """Read masks and place them on the lattice of the first one.

    Returns:
        The affine of the lattice, structure → mask, and the remarks on the files.

    Raises:
        InputError: A file is not a valid mask, voxels do not coincide, or grids differ and a header
            does not say where its grid lies.
    """
    path = files[wanted[0]]
    first = read_mask(path, most_voxels)
    masks: dict[str, PlacedMask] = {}
    remarks: list[str] = []
    for name in wanted:
        mask = first if name == wanted[0] else read_mask(files[name], most_voxels)
        remarks += [remark for remark in mask.remarks if remark not in remarks]
        remarks += _contradiction(name, mask)
        placement = Placement.of(mask.shape, mask.affine, first.affine)
        differs = f"{files[name]}: its grid differs from that of {path.name}"
        if placement is None or placement.moved > _SAME_PLACE_VOXELS:
            moved = placement and f"displaced by up to {placement.moved:.3g} voxels"
            raise InputError(
                f"{differs} ({moved or 'another spacing or direction'}); resample all masks of a "
                "heart to one grid"
            )
        masks[name] = PlacedMask(_inside(mask), placement)
        same = placement.is_same(masks[wanted[0]].placement)
        if not same and any(_GUESSED in remark for remark in remarks):
            raise InputError(
                f"{differs}, and a header does not say where its grid lies, so that they cannot be "
                "placed; export all masks of a heart on one grid"
            )
    return first.affine, masks, remarks


def _empty(
    folder: Path, masks: Mapping[str, PlacedMask], absent: Collection[str], remedy: str
) -> list[str]:
    """Return a remark on empty masks.

    Raises:
        InputError: All are empty.
    """
    empty = [name for name, mask in masks.items() if not len(mask.voxels)]
    if len(empty) == len(masks):
        remedy = remedy or "segment the heart or leave it out"
        raise InputError(f"{folder}: every mask is empty ({', '.join(empty)}); {remedy}")
    failed = ", ".join(name for name in empty if name not in absent)
    remark = (
        f"empty masks: {failed}; segmentation may have failed there, so they count as not "
        "annotated (prepare and evaluate: if the heart lacks them, name them with --absent)"
    )
    return [remark] if failed else []


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
        if count == 0 or other == WHOLE_HEART:
            continue
        if count > _OVERLAP_SHARE * len(voxels[name]) and other != _WHOLE_OF.get(name):
            raise InputError(
                f"{files[name]}: {count} of its {len(voxels[name])} voxels are also in "
                f"{files[other].name}; remove them from one of the two"
            )
        remarks.append(f"{name} and {other} share {count} voxels; they were given to {name}")
    return remarks
