"""``vecsetx shape sample``: new hearts of a shape space."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.generating import NewHeartFiles
from vecsetx.cohort.new_hearts import DrawnHeart
from vecsetx.commands.shape.make import GeneratedHearts, make_hearts
from vecsetx.errors import InputError
from vecsetx.population.drawing import VolumeRange, check_volumes
from vecsetx.population.heart_space import HeartSpace

__all__ = ["parse_volumes", "sample_hearts"]


def sample_hearts(
    space: Path,
    model: Path,
    out: Path,
    count: int,
    seed: int = 0,
    volumes: Mapping[str, VolumeRange] | None = None,
    files: NewHeartFiles | None = None,
    cohort: CohortOptions | None = None,
) -> GeneratedHearts:
    """Draw new hearts: label maps or meshes, ``cohort.csv`` and ``cohort.json``.

    Args:
        space: Folder of the space.
        model: Folder of its model.
        out: Folder for the hearts.
        count: Number of hearts; more of them leave the first ones as they are.
        seed: Seed; each heart follows from it and its number alone.
        volumes: Structure → its volume, where one is asked for.
        files: What is written of each heart; None: label maps of 1.5 mm.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: As :func:`~vecsetx.commands.shape.make.make_hearts`, or the cohort does not span
            the volumes.
    """
    asked = dict(volumes or {})

    def choose(found: HeartSpace) -> list[DrawnHeart]:
        check_volumes(found.saved, asked)
        return [DrawnHeart(f"heart{n:05d}", n, seed, asked) for n in range(1, count + 1)]

    made_by = {
        "command": "sample",
        "seed": seed,
        "volumes": {name: asdict(one) for name, one in asked.items()},
    }
    return make_hearts(space, model, out, choose, files or NewHeartFiles(), made_by, cohort)


def parse_volumes(texts: list[str]) -> dict[str, VolumeRange]:
    """Parse ``LV=120:180`` or ``LV=90``, ml.

    Raises:
        InputError: A text is of another form, or its range is empty or not positive.
    """
    found: dict[str, VolumeRange] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        low, colon, high = numbers.partition(":")
        try:
            wanted = VolumeRange(float(low), float(high if colon else low))
        except ValueError:
            wanted = VolumeRange(0.0, 0.0)
        if 0 < wanted.high_ml < wanted.low_ml < float("inf"):
            raise InputError(
                f"--volume {text}: the range ends below its beginning; give the smaller volume "
                "first"
            )
        if not 0 < wanted.low_ml <= wanted.high_ml < float("inf"):
            raise InputError(f"--volume {text}: give a structure and ml, as LV=120:180 or LV=150")
        if name in found:
            raise InputError(f"--volume {text}: {name} is given twice; leave one out")
        found[name] = wanted
    return found
