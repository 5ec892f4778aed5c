"""A small prepared data set of phantoms, made once for all tests that need one."""

from pathlib import Path

import numpy as np

from vecsetx.anatomy.labelmap import write_label_map
from vecsetx.anatomy.phantom import PhantomHeart

SIZE, SPACING_MM = 56, 2.4


def write_small_phantoms(folder: Path, count: int) -> list[Path]:
    """Coarse phantoms as ``phantom00.nii.gz`` …: all structures, few voxels."""
    paths = []
    for index in range(count):
        heart = PhantomHeart.random(np.random.default_rng([7, index]))
        paths.append(folder / f"phantom{index:02d}.nii.gz")
        write_label_map(heart.voxelize(SIZE, SPACING_MM), paths[-1])
    return paths
