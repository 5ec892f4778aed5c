"""Whether the frames of a cine show one heart.

A ventricle with its wall keeps its place while it beats, and the wall's muscle keeps its volume.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, UInt

from vecsetx.errors import InputError

__all__ = ["unlike_the_others"]

_LEAST_DICE = 0.65
"""Overlap of two frames of one heart, of its left ventricle with the wall. Beating phantoms have
0.83 to 0.86 between end diastole and end systole (docs/views.md)."""

_LEAST_ALONE = 0.3
"""The same where frames do not show both: cavities get much smaller."""

_MOST_TIMES = 1.4
"""How many times larger the muscle of one frame is at most than that of another."""

_SUDDEN, _FEWEST = 0.15, 8
"""A frame is a stranger if its overlap with the one before and the one after is so much smaller
than the overlap of these two; and the fewest frames of which this can be said."""

_MOST_LEFT_OUT = 1 / 3

_MOST_VALUES = 20_000_000
"""Voxels of all frames together that are compared; of larger ones, every second or third is."""


def unlike_the_others(
    frames: Mapping[int, UInt[np.ndarray, "i j k"]], structures: tuple[str, ...], path: str
) -> dict[int, str]:
    """Return the frames that show another heart than most, and why.

    Args:
        frames: Number of a frame → labels 1…K on the grid that all share.
        structures: Names of the K structures.
        path: The file, for error messages.

    Raises:
        InputError: More than a third of the frames do, or there are two that differ.
    """
    numbers = list(frames)
    if len(numbers) < 2:
        return {}
    dice, muscle, is_walled = _compared(list(frames.values()), structures)
    times = np.maximum(muscle[:, None], muscle) / np.maximum(np.minimum(muscle[:, None], muscle), 1)
    least = _LEAST_DICE if is_walled else _LEAST_ALONE
    alike = (dice >= least) & (times <= _MOST_TIMES)
    fits: Bool[np.ndarray, " t"] = alike.mean(axis=1) > 0.5
    if is_walled:
        fits &= ~_sudden(dice)
    if len(numbers) == 2 and not alike[0, 1]:
        fits = np.zeros(2, dtype=bool)
    if (~fits).mean() > _MOST_LEFT_OUT:
        worst = np.unravel_index(np.where(alike, 2.0, dice - times / 100).argmin(), dice.shape)
        one, other = sorted(numbers[int(place)] for place in worst)
        body = "the left ventricle with its wall overlaps" if is_walled else "hearts overlap"
        sizes = ""
        if times[worst] > _MOST_TIMES:
            sizes = (
                f", and the muscle of one has {times[worst]:.1f} times the volume of the other's"
            )
        raise InputError(
            f"{path}: its frames show no common heart. In frames {one} and {other}, {body} with a "
            f"Dice of {dice[worst]:.2f}{sizes}; give the frames of one patient, from one series"
        )
    found = {}
    for place in np.flatnonzero(~fits).tolist():
        others = fits.copy()
        size = ""
        if is_walled:
            size = f"; muscle: {100 * muscle[place] / np.median(muscle[others]):.0f}% of theirs"
        found[numbers[place]] = (
            "it shows another heart than the other frames, or is damaged (overlap with them: Dice "
            f"{dice[place, others].mean():.2f}{size})"
        )
    return found


def _sudden(dice: Float[np.ndarray, "t t"]) -> Bool[np.ndarray, " t"]:
    """Return which frames are unlike both of their neighbours in the cycle, which are alike."""
    at = np.arange(len(dice))
    if len(at) < _FEWEST:
        return np.zeros(len(at), dtype=bool)
    before, after = np.roll(at, 1), np.roll(at, -1)
    own = np.maximum(dice[at, before], dice[at, after])
    found: Bool[np.ndarray, " t"] = own < dice[before, after] - _SUDDEN
    return found


def _compared(
    labels: list[np.ndarray], structures: tuple[str, ...]
) -> tuple[Float[np.ndarray, "t t"], Float[np.ndarray, " t"], bool]:
    """Return the overlap of all pairs of frames, and the size of each one's muscle in voxels.

    The third result is whether all frames show the left ventricle and its wall. If only one of them
    is in all, this one has to overlap; if neither is, all structures have.
    """
    numbers = {name: structures.index(name) + 1 for name in structures}
    wall, chamber = numbers.get("Myocardium", -1), numbers.get("LV", -1)
    muscle = np.array([np.count_nonzero(one == wall) for one in labels], dtype=float)
    shown = [label for label in (wall, chamber) if all((one == label).any() for one in labels)]
    stride = int(np.ceil(np.cbrt(len(labels) * labels[0].size / _MOST_VALUES)))
    every = (slice(None, None, stride),) * 3
    bodies = [np.isin(one[every], shown) if shown else one[every] > 0 for one in labels]
    flat = np.stack([body.ravel() for body in bodies]).astype(np.float32)
    both, sizes = flat @ flat.T, flat.sum(axis=1)
    dice = 2 * both / np.maximum(sizes[:, None] + sizes, 1)
    if wall not in shown:
        muscle[:] = 1
    return dice.astype(float), muscle, len(shown) == 2
