"""Masks of two boxes or of a phantom, and ways to write a folder of masks."""

from itertools import permutations

import nibabel as nib
import numpy as np

from support.maps import OBLIQUE, save
from vecsetx.anatomy.label_map import LabelMap


def write_masks(folder, affine=OBLIQUE, **masks):
    return {n: save(folder / f"{n}.nii.gz", m.astype(np.uint8), affine) for n, m in masks.items()}


def box(low, high):
    mask = np.zeros((8, 9, 10), bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


LEFT, RIGHT = box((0, 0, 0), (3, 9, 10)), box((5, 2, 1), (8, 9, 9))
NOTHING = np.zeros_like(LEFT)


def write_cropped_masks(folder, label_map, structures, turned=False):
    """Write the labels 1…K as 3D Slicer does: each cropped to its own extent.

    With ``turned``, each with another order of the axes, some of them flipped. Return the files.
    """
    turns, files = list(permutations(range(3))), {}
    for label, name in enumerate(structures, 1):
        inside = label_map.labels == label
        box = LabelMap(inside, label_map.affine).bounding_box()
        image = nib.Nifti1Image(inside.astype(np.uint8), label_map.affine).slicer[box]
        if turned:
            flips = [1 - label % 2 * 2, 1 - label // 2 % 2 * 2, 1 - label // 4 % 2 * 2]
            image = image.as_reoriented(np.stack([turns[label % 6], flips], axis=1))
        files[name] = folder / f"{name}.nii.gz"
        nib.save(image, files[name])
    return files
