"""``vecsetx shape modes``: the mean heart, and hearts along each mode."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.generating import NewHeartFiles
from vecsetx.cohort.new_hearts import GivenHeart
from vecsetx.commands.shape.make import GeneratedHearts, make_hearts
from vecsetx.errors import InputError
from vecsetx.population.heart_space import HeartSpace

__all__ = ["make_modes", "parse_multiples"]

_MOST_SD = 10.0
"""No heart lies farther from the mean along a mode."""


def parse_multiples(text: str) -> list[float]:
    """Parse ``1,2,3``: multiples of a standard deviation.

    Raises:
        InputError: One is no number above 0 and up to 10, or there is none.
    """
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0 < one <= _MOST_SD for one in found):
        raise InputError(
            f"--sd {text}: give numbers above 0 and up to {_MOST_SD:g}, such as --sd 1,2,3"
        )
    return found


def make_modes(
    space: Path,
    model: Path,
    out: Path,
    modes: int,
    sd: Sequence[float],
    files: NewHeartFiles,
    cohort: CohortOptions | None = None,
) -> GeneratedHearts:
    """Make the mean heart, and two hearts for each mode and multiple of its standard deviation.

    Args:
        space: Folder of the space.
        model: Folder of its model.
        out: Folder for the hearts.
        modes: Number of modes, the first ones.
        sd: Multiples of the standard deviation, above 0.
        files: What is written of each heart.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: As :func:`~vecsetx.commands.shape.make.make_hearts`, or the space has fewer
            modes.
    """

    def choose(found: HeartSpace) -> list[GivenHeart]:
        count = len(found.saved.space.sd)
        if modes > count:
            raise InputError(
                f"--modes {modes}: the space has {count} modes; ask for at most {count}"
            )
        hearts = [GivenHeart("mean", found.mean().table)]
        for mode in range(modes):
            for multiple in sorted({-one for one in sd} | set(sd)):
                coordinates = np.zeros(count)
                coordinates[mode] = multiple
                side = "minus" if multiple < 0 else "plus"
                name = f"mode{mode + 1:02d}_{side}{abs(multiple):g}sd".replace(".", "p")
                hearts.append(GivenHeart(name, found.at(coordinates).table))
        return hearts

    return make_hearts(space, model, out, choose, files, {"command": "modes"}, cohort)
