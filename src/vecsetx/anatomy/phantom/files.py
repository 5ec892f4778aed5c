"""Writing phantoms as NIfTI label maps."""

from pathlib import Path

import numpy as np

from vecsetx.anatomy.labelmap import write_label_map
from vecsetx.anatomy.phantom.heart import PhantomHeart
from vecsetx.errors import InputError


def write_phantom(
    out: Path, index: int, seed: int, size: int, spacing_mm: float, scale: float = 1.0
) -> Path:
    """Write the ``index``-th random heart as ``phantom<index>.nii.gz``.

    The heart's shape depends on ``seed`` and ``index`` alone, so a larger cohort begins with the
    same hearts.

    Args:
        out: The folder; it is made if needed.
        index: Which heart, from 0.
        seed: Any whole number from 0 up.
        size: Voxels along each axis.
        spacing_mm: Voxel size.
        scale: How much larger the heart is than usual.

    Returns:
        The file.

    Raises:
        InputError: A number makes no sense.
    """
    if index < 0 or seed < 0 or size < 8 or not (spacing_mm > 0 and scale > 0):
        raise InputError(
            f"a phantom needs index and seed from 0, size from 8, spacing above 0 mm and scale "
            f"above 0, not "
            f"index {index}, seed {seed}, size {size}, spacing {spacing_mm}, scale {scale}"
        )
    heart = PhantomHeart.random(np.random.default_rng([seed, index]), scale)
    path = out / f"phantom{index:03d}.nii.gz"
    write_label_map(heart.voxelize(size, spacing_mm), path)
    return path
