"""Many hearts through one process: its memory and its open files do not grow."""

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from attack.judge import Attack
from attack.material import Material

_SIZE = 48
_AT_ONCE = 10
_GROWTH_BYTES = 64 << 20
"""What caches may gain between the tenth heart and the last."""

COMMANDS = {
    "prepare": "prepare {part} --out out --points 500 --workers 1",
    "evaluate": "evaluate {part} --model {run} --out out --refine 0",
    "reconstruct": "reconstruct {part} --model {run} --out out --resolution 32 --refine 0",
}


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield each command over ``count`` hearts, ten at a time in one process."""
    for name, line in COMMANDS.items():
        # Beside the attack's folder, in which nothing may change but the results.
        part = material.folder.parent / "part"
        words = line.format(run=material.folder / "run", part=part).split()
        states: list[tuple[int, int]] = []
        yield (
            "cohort",
            Attack(
                f"{name} {count} hearts",
                tuple(words),
                "out",
                before=partial(_all_but_the_last, words, material, part, count, states),
                wrong=partial(_grown, states),
                most_seconds=20.0 + 5.0 * count,
            ),
        )


def _all_but_the_last(
    words: list[str], material: Material, part: Path, count: int, states: list[tuple[int, int]]
) -> None:
    """Run the command on ten hearts after the other; the last ten are left to the attack itself."""
    from vecsetx.cli import main

    sources = sorted((material.folder / "labels").glob("*.nii.gz"))
    for start in range(0, count, _AT_ONCE):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for number in range(start, min(start + _AT_ONCE, count)):
            _write(sources[number % len(sources)], part / f"heart{number:04d}.nii.gz")
        if start + _AT_ONCE < count:
            sys.argv = ["vecsetx", *words]
            main()
            states.append(_state())


def _write(source: Path, to: Path) -> None:
    """Write the middle of a label map, ``_SIZE`` voxels a side."""
    image = nib.load(source)
    start = [(n - _SIZE) // 2 for n in image.shape]
    nib.save(image.slicer[tuple(slice(s, s + _SIZE) for s in start)], to)


def _state() -> tuple[int, int]:
    """Return the resident memory in bytes, and the number of open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize(), len(os.listdir("/proc/self/fd"))


def _grown(states: list[tuple[int, int]], status: int) -> str:
    if status or len(states) < 2:
        return ""
    memory, files = (np.array(values) for values in zip(*states, _state(), strict=True))
    half = len(memory) // 2
    grown = int(memory[half:].min() - memory[1:].min())
    if grown > _GROWTH_BYTES:
        return f"memory grew by {grown >> 20} MB over {len(states)} times {_AT_ONCE} hearts"
    return f"open files grew from {files[0]} to {files[-1]}" if files[-1] > files[0] else ""
