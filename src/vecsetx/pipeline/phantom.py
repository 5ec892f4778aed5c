"""``vecsetx phantom``: synthetic hearts as label maps."""

from functools import partial
from pathlib import Path

from vecsetx.anatomy.phantom import write_phantom
from vecsetx.errors import InputError
from vecsetx.pipeline.cohort import for_each_heart, open_workers
from vecsetx.pipeline.lock import only_writer


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
    with only_writer(out), open_workers(workers) as executor:
        outcome = for_each_heart("making phantoms", write, hearts, executor)
    if outcome.failed:
        raise InputError("\n".join(outcome.failed.values()))
    return list(outcome.made.values())
