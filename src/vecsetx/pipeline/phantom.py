"""``vecsetx phantom``: synthetic hearts as label maps."""

from functools import partial
from pathlib import Path

import numpy as np

from vecsetx.anatomy.labelmap import write_label_map
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.errors import InputError
from vecsetx.pipeline.cohort import for_each_heart, processes


def make_phantoms(
    out: Path, count: int, seed: int, size: int, spacing_mm: float, workers: int | None = None
) -> list[Path]:
    """Write ``phantom000.nii.gz`` … into ``out``; heart i depends on ``seed`` and i alone.

    Raises:
        InputError: An option does not fit, or a heart could not be written.
    """
    if count < 1 or size < 8 or not spacing_mm > 0:
        raise InputError(
            f"--count {count} --size {size} --spacing {spacing_mm}: at least 1 heart, 8 "
            "voxels and a positive spacing are needed"
        )
    write = partial(_write, out=out, seed=seed, size=size, spacing_mm=spacing_mm)
    hearts = {f"phantom{index:03d}": index for index in range(count)}
    with processes(min(workers or count, count)) as executor:
        outcome = for_each_heart("making phantoms", write, hearts, executor)
    if outcome.failed:
        raise InputError("\n".join(outcome.failed.values()))
    return list(outcome.made.values())


def _write(index: int, out: Path, seed: int, size: int, spacing_mm: float) -> Path:
    heart = PhantomHeart.random(np.random.default_rng([seed, index]))
    path = out / f"phantom{index:03d}.nii.gz"
    write_label_map(heart.voxelize(size, spacing_mm), path)
    return path
