"""A small prepared data set of phantoms, made once for all tests that need one."""

from functools import cache
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.formats.label_maps import write_label_map

SIZE, SPACING_MM = 56, 2.4


def write_small_phantoms(folder: Path, count: int) -> list[Path]:
    """Coarse phantoms as ``phantom00.nii.gz`` …: all structures, few voxels."""
    paths = [folder / f"phantom{index:02d}.nii.gz" for index in range(count)]
    for index, path in enumerate(paths):
        write_label_map(_phantom(index), path)
    return paths


@cache
def _phantom(index: int) -> LabelMap:
    heart = PhantomHeart.random(np.random.default_rng([7, index]))
    return heart.voxelize(SIZE, SPACING_MM)
