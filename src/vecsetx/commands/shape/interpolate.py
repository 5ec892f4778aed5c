"""``vecsetx shape interpolate``: hearts on the way from one heart to another."""

from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.cohort_options import CohortOptions
from vecsetx.cohort.generating import NewHeartFiles
from vecsetx.cohort.new_hearts import GivenHeart
from vecsetx.commands.shape.make import GeneratedHearts, make_hearts
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart
from vecsetx.population.heart_space import HeartSpace
from vecsetx.suggestions import did_you_mean
from vecsetx.terminal.progress_bars import warn

__all__ = ["interpolate_hearts"]


def interpolate_hearts(
    space: Path,
    model: Path,
    first: str,
    second: str,
    out: Path,
    steps: int,
    files: NewHeartFiles,
    label_set: LabelSet | None = None,
    cohort: CohortOptions | None = None,
) -> GeneratedHearts:
    """Make hearts from one heart to another, at equal steps, both ends included.

    They lie where the first heart does.

    Args:
        space: Folder of the space.
        model: Folder of its model.
        first: A file or folder of a heart, or the name of a heart of the space's cohort.
        second: The other heart, likewise.
        out: Folder for the hearts.
        steps: Number of hearts, at least 2.
        files: What is written of each heart.
        label_set: What ids in files mean; None: what the files say.
        cohort: Who does the work; None: this process, on the CPU.

    Raises:
        InputError: As :func:`~vecsetx.commands.shape.make.make_hearts`, or an end is no heart.
    """

    def choose(found: HeartSpace) -> list[GivenHeart]:
        names = found.saved.cohort.names
        if label_set is not None and first in names and second in names:
            raise InputError(
                "--labels is about files, but both hearts are of the cohort; leave it out"
            )
        begin, end = (_heart(text, found, label_set) for text in (first, second))
        return [
            GivenHeart(f"step{n:03d}", *found.table(found.interpolate(begin, end, float(t))))
            for n, t in enumerate(np.linspace(0, 1, steps))
        ]

    made_by: dict[str, str | int] = {"command": "interpolate", "first": first, "second": second}
    made_by["steps"] = steps
    return make_hearts(space, model, out, choose, files, made_by, cohort)


def _heart(text: str, space: HeartSpace, label_set: LabelSet | None) -> Heart:
    """Return a heart of a file, or of the cohort."""
    cohort, path = space.saved.cohort, Path(text)
    if text in cohort.names:
        if path.exists():
            raise InputError(
                f"{text}: is a heart of the cohort and a file; give the file as ./{text}, or "
                "change to another folder"
            )
        return space.at(cohort.coordinates[cohort.names.index(text)])
    if not path.exists():
        raise InputError(
            f"{text}: is no file, and no heart of the cohort; {did_you_mean(text, cohort.names)}"
        )
    hearts = find_hearts([path], label_set, usual=space.trained.label_set)
    if len(hearts) != 1:
        raise InputError(f"{text}: contains {len(hearts)} hearts; name one of them")
    (source,) = hearts.values()
    heart = Heart.of(source, space.trained, EncodeOptions(label_set, refine=0))
    for remark in heart.remarks:
        warn(f"{text}: {remark}")
    return heart
