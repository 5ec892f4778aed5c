"""Masks of two boxes, and a way to write a folder of masks."""

import numpy as np

from support.maps import OBLIQUE, save


def write_masks(folder, affine=OBLIQUE, **masks):
    return {n: save(folder / f"{n}.nii.gz", m.astype(np.uint8), affine) for n, m in masks.items()}


def box(low, high):
    mask = np.zeros((8, 9, 10), bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


LEFT, RIGHT = box((0, 0, 0), (3, 9, 10)), box((5, 2, 1), (8, 9, 9))
NOTHING = np.zeros_like(LEFT)
