"""``vecsetx phantom``: write synthetic hearts as label maps."""

from functools import partial
from pathlib import Path

import numpy as np

from vecsetx.anatomy.phantom.grid_cuts import cut_structures
from vecsetx.anatomy.phantom.phantom_heart import PhantomHeart
from vecsetx.cohort.out_folder import results_folder
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.terminal.progress_bars import steps
from vecsetx.workers.for_each import for_each_heart, open_workers

__all__ = ["make_phantoms", "write_phantom"]


def make_phantoms(
    out: Path,
    count: int,
    seed: int,
    size: int,
    spacing_mm: float,
    workers: int | None = None,
    scale: float = 1.0,
    cuts: dict[str, tuple[str, ...]] | None = None,
) -> list[Path]:
    """Write ``phantom000.nii.gz`` … into ``out``.

    Args:
        out: The folder.
        count: Number of hearts. A larger cohort starts with the same hearts.
        seed: Seed of the shapes.
        size: Voxels along each edge of a label map.
        spacing_mm: Edge of a voxel, mm.
        workers: Number of processes; None for one per core.
        scale: Size of the hearts relative to the usual one.
        cuts: Receives heart → structures that the grid's edge cuts, of hearts with any.

    Returns:
        The files.

    Raises:
        InputError: An option is out of range, or a heart could not be written.
    """
    if count < 1:
        raise InputError(f"--count {count}: at least 1 heart is needed")
    write = partial(_written, out, seed=seed, size=size, spacing_mm=spacing_mm, scale=scale)
    hearts = {f"phantom{index:03d}": index for index in range(count)}
    with (
        results_folder(out),
        open_workers(workers) as executor,
        steps("making phantoms", count, "hearts") as progress,
    ):
        outcome = for_each_heart(write, hearts, executor, progress)
    if outcome.failed:
        raise InputError("\n".join(outcome.failed.values()))
    if cuts is not None:
        cuts |= {name: cut for name, (_, cut) in outcome.results.items() if cut}
    return [path for path, _ in outcome.results.values()]


def write_phantom(
    out: Path, index: int, seed: int, size: int, spacing_mm: float, scale: float = 1.0
) -> Path:
    """Write the ``index``-th random heart as ``phantom<index>.nii.gz``.

    The heart's shape depends only on ``seed`` and ``index``.

    Args:
        out: The folder; it is created if it is missing.
        index: Index of the heart, from 0.
        seed: Seed of the shape, from 0.
        size: Voxels along each edge of the label map.
        spacing_mm: Edge of a voxel, mm.
        scale: Size of the heart relative to the usual one.

    Returns:
        The file.

    Raises:
        InputError: A number is out of range.
    """
    return _written(out, index, seed, size, spacing_mm, scale)[0]


def _written(
    out: Path, index: int, seed: int, size: int, spacing_mm: float, scale: float
) -> tuple[Path, tuple[str, ...]]:
    """Write a heart; return the file, and the structures that the grid's edge cuts."""
    if index < 0 or seed < 0 or size < 8 or not (spacing_mm > 0 and scale > 0):
        raise InputError(
            f"index {index}, seed {seed}, size {size}, spacing {spacing_mm}, scale {scale}: a "
            "phantom needs index and seed from 0, size from 8, spacing above 0 mm and scale above 0"
        )
    heart = PhantomHeart.random(np.random.default_rng([seed, index]), scale)
    path = out / f"phantom{index:03d}.nii.gz"
    label_map = heart.voxelize(size, spacing_mm)
    write_label_map(label_map, path)
    return path, cut_structures(label_map)
