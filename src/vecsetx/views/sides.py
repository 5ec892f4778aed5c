"""Whether views lie as in a mirror."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vecsetx.errors import InputError
from vecsetx.views.slices import Slice

__all__ = ["check_sides", "is_mirrored"]

_USUAL = np.array([[-0.592, 0.476, -0.651], [0.678, 0.730, -0.086]])
"""Unit vectors from the LA to the LV, and at right angles to it from the LV to the RV, RAS+: means
of 15 real hearts (kcl) and 2 phantoms, which lie within 22° of them."""

_ALIKE = 1.6
"""Least sum of the two cosines at which a heart lies as usual; 1.86 in these hearts."""

_CLEARLY = 0.3
"""Lead of mirrored axes over turned ones that decides; 0.73 in these hearts if mirrored."""


_MOST_LONG_AXIS = 3
"""Most slices of a view that is no short-axis stack."""


def check_sides(
    slices: Sequence[Slice], structures: Sequence[str], paths: Sequence[Path], trust: bool
) -> tuple[str, ...]:
    """Check that an axis with the wrong sign has not mirrored all views.

    Slices alone do not show it: LV, RV and atria lie nearly in one plane. So their places are
    compared with those in a scanner. This decides only if LA, LV and RV are seen, and if the heart
    lies as most do but for the signs of axes.

    Args:
        slices: Slices of all views.
        structures: Names of the K structures.
        paths: The views' files, for the message.
        trust: Whether the user has confirmed the views.

    Returns:
        A remark if they are mirrored and trusted.

    Raises:
        InputError: They are mirrored, and not trusted.
    """
    if not is_mirrored(slices, structures):
        return ()
    seen = "left and right are exchanged: LA, LV and RV lie as in a mirror"
    if trust:
        return (f"the views are trusted although {seen}",)
    raise InputError(
        f"{', '.join(map(str, paths))}: {seen}; mend the files' axes, one of which has the wrong "
        "sign, or confirm the views with --trust-names, as for situs inversus"
    )


def is_mirrored(slices: Sequence[Slice], structures: Sequence[str]) -> bool:
    """Return whether a heart lies as usual if one axis, or all three, get the other sign.

    Args:
        slices: Slices of all views.
        structures: Names of the K structures.
    """
    apex = _mean(_ways(slices, structures, "LA", "LV"))
    right = _mean(_ways(slices, structures, "LV", "RV"))
    if apex is None or right is None:
        return False
    right = _unit(right - (right @ apex) * apex)
    alike = {
        signs: float((np.stack([apex, right]) * signs * _USUAL).sum())
        for signs in product((1, -1), repeat=3)
    }
    turned, mirrored = (
        max(score for signs, score in alike.items() if np.prod(signs) == sense) for sense in (1, -1)
    )
    return mirrored > _ALIKE and mirrored > turned + _CLEARLY


def _ways(
    slices: Sequence[Slice], structures: Sequence[str], first: str, second: str
) -> Iterator[Float[np.ndarray, "3"]]:
    """Yield the way between the centres of two structures in each view that shows both.

    A stack does not say where LA lies: it cuts it off, and in short-axis slices LA is beside LV.
    """
    if not {first, second} <= {*structures}:
        return
    for view in {one.view for one in slices}:
        own = [one for one in slices if one.view == view]
        if "LA" in (first, second) and len(own) > _MOST_LONG_AXIS:
            continue
        begin, end = (
            np.concatenate(
                [one.to_mm(np.argwhere(one.labels == label).astype(float)) for one in own]
            )
            for label in (structures.index(name) + 1 for name in (first, second))
        )
        if min(len(begin), len(end)):
            yield end.mean(axis=0) - begin.mean(axis=0)


def _mean(ways: Iterator[Float[np.ndarray, "3"]]) -> Float[np.ndarray, "3"] | None:
    found = [*ways]
    return _unit(np.mean(found, axis=0)) if found else None


def _unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
