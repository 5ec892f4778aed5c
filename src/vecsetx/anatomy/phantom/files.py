"""Writing phantoms as NIfTI label maps."""

from pathlib import Path

import numpy as np

from vecsetx.anatomy.labelmap import write_label_map
from vecsetx.anatomy.phantom.heart import PhantomHeart
from vecsetx.errors import InputError


def write_phantoms(
    out: Path, count: int, seed: int, size: int = 160, spacing_mm: float = 0.8
) -> list[Path]:
    """Write ``count`` random hearts as ``phantom000.nii.gz``, ``phantom001.nii.gz``, …

    The n-th heart depends on ``seed`` and n alone, so a longer run begins with the same hearts.

    Args:
        out: The folder; it is made if needed.
        count: How many hearts.
        seed: Any whole number from 0 up.
        size: Voxels along each axis.
        spacing_mm: Voxel size.

    Returns:
        The files, in order.

    Raises:
        InputError: ``count``, ``seed``, ``size`` or ``spacing_mm`` makes no sense.
    """
    if count < 1 or size < 1 or not spacing_mm > 0 or seed < 0:
        raise InputError(
            f"phantoms need count and size from 1, spacing above 0 mm and seed from 0, "
            f"not count {count}, size {size}, spacing {spacing_mm}, seed {seed}"
        )
    paths = []
    for index in range(count):
        heart = PhantomHeart.random(np.random.default_rng([seed, index]))
        path = out / f"phantom{index:03d}.nii.gz"
        write_label_map(heart.voxelize(size, spacing_mm), path)
        paths.append(path)
    return paths
