"""A few phantoms, made once for all tests that need some."""

import shutil
from pathlib import Path

import numpy as np

from support.shared import made_once
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.formats.label_maps import write_label_map

SIZE, SPACING_MM = 56, 2.4


def write_small_phantoms(folder: Path, count: int) -> list[Path]:
    """Coarse phantoms as ``phantom00.nii.gz`` …: all structures, few voxels."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(_phantom(index), folder)) for index in range(count)]


def _phantom(index: int) -> Path:
    file = f"phantom{index:02d}.nii.gz"

    def make(folder: Path) -> None:
        heart = PhantomHeart.random(np.random.default_rng([7, index]))
        write_label_map(heart.voxelize(SIZE, SPACING_MM), folder / file)

    return made_once(f"phantom{index:02d}", make) / file
