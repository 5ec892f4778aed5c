"""``vecsetx phantom``: synthetic hearts as label maps."""

from functools import partial
from pathlib import Path

import numpy as np

from vecsetx.anatomy.phantom.heart import PhantomHeart
from vecsetx.commands.progress import steps
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.workers.for_each import for_each_heart, open_workers
from vecsetx.workers.lock import only_writer


def make_phantoms(
    out: Path,
    count: int,
    seed: int,
    size: int,
    spacing_mm: float,
    workers: int | None = None,
    scale: float = 1.0,
) -> list[Path]:
    """Write ``phantom000.nii.gz`` … into ``out``; heart i's shape depends on ``seed`` and i alone.

    ``scale`` is how much larger all of them are than usual.

    Raises:
        InputError: An option does not fit, or a heart could not be written.
    """
    if count < 1:
        raise InputError(f"--count {count}: at least 1 heart is needed")
    write = partial(write_phantom, out, seed=seed, size=size, spacing_mm=spacing_mm, scale=scale)
    hearts = {f"phantom{index:03d}": index for index in range(count)}
    with (
        only_writer(out),
        open_workers(workers) as executor,
        steps("making phantoms", count, "hearts") as progress,
    ):
        outcome = for_each_heart(write, hearts, executor, progress)
    if outcome.failed:
        raise InputError("\n".join(outcome.failed.values()))
    return list(outcome.made.values())


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
