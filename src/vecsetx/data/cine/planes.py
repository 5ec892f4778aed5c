"""Random planes, as cine MRI takes them: a short-axis stack, 2CH, 3CH and 4CH."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.data.cine.ventricle import LeftVentricle

__all__ = ["Plane", "random_planes"]

PlaneKind = Literal["SAX", "2CH", "3CH", "4CH"]
"""Short axis, and two, three or four chambers."""

_SPACING_MM = (6.0, 12.0)
"""Between slices of a stack."""

_TILT_DEG = 3.0
"""S.d. of the stack's tilt against the long axis, in each of two directions."""

_INCOMPLETE, _MISSING = 0.3, 0.25
"""Share of the stacks that lack slices, and which share of them they lack on average."""

_ANGLES_DEG: dict[PlaneKind, float] = {"4CH": -20.0, "3CH": 40.0, "2CH": 100.0}
"""Angle of each long-axis plane about the long axis, from the middle of RV towards the anterior
wall. The tricuspid valve is found at −32° to −16°, the aortic one at 19° to 43° (phantoms, kcl)."""

_OFF_DEG = 5.0
"""S.d. of these angles."""

_VENTRICLES = ("Myocardium", "LV", "RV")

_ANNOTATED: dict[PlaneKind, tuple[str, ...]] = {
    "SAX": _VENTRICLES,
    "2CH": ("Myocardium", "LV", "LA"),
    "3CH": (*_VENTRICLES, "LA", "Aorta"),
    "4CH": (*_VENTRICLES, "LA", "RA"),
}
"""What label maps of cine MRI usually name."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane in which a heart is shown.

    Attributes:
        kind: Which of the views it is.
        normal: Unit vector.
        height_mm: Product of the normal and any point of the plane, RAS+ mm.
        shift_mm: By how much its breath-hold moves what it shows, within the plane.
        shows: ``[K]`` which structures it shows.
    """

    kind: PlaneKind
    normal: Float[np.ndarray, "3"]
    height_mm: float
    shift_mm: Float[np.ndarray, "3"]
    shows: Bool[np.ndarray, " k"]


def random_planes(
    left: LeftVentricle, names: tuple[str, ...], shift_mm: float, generator: np.random.Generator
) -> list[Plane]:
    """Draw a short-axis stack and none to three long-axis planes.

    Half of the hearts are annotated as label maps of cine MRI usually are, a quarter with the
    ventricles and the myocardium alone, and a quarter with all that the planes cut.

    Args:
        left: The left ventricle: the stack spans it, and all long-axis planes hold its axis.
        names: Names of the K structures.
        shift_mm: S.d. of shifts within each plane, along each of its two directions.
        generator: Source of randomness.
    """
    usual, ventricles = generator.random() < 0.5, generator.random() < 0.5
    along, septal, anterior = left.axes
    # 1. Where the planes lie: kind, normal, height.
    off = math.radians(_TILT_DEG) * generator.standard_normal(3)
    normal = along + off - (off @ along) * along
    normal /= np.linalg.norm(normal)
    places: list[tuple[PlaneKind, np.ndarray, float]] = [
        ("SAX", normal, height) for height in _stack(left.points_mm @ normal, generator)
    ]
    kinds = list(_ANGLES_DEG)
    chosen = generator.permutation(len(kinds))[: generator.integers(len(kinds) + 1)]
    for kind in (kinds[number] for number in chosen):
        angle = math.radians(_ANGLES_DEG[kind] + _OFF_DEG * generator.standard_normal())
        normal = math.cos(angle) * anterior - math.sin(angle) * septal
        places.append((kind, normal, float(normal @ left.base_mm)))
    # 2. What each shows, and its shift.
    planes = []
    for kind, normal, height in places:
        shown = _ANNOTATED[kind] if usual else _VENTRICLES if ventricles else names
        moved = shift_mm * generator.standard_normal(3)
        shift = moved - (moved @ normal) * normal
        planes.append(Plane(kind, normal, height, shift, np.isin(names, shown)))
    return planes


def _stack(heights_mm: Float[np.ndarray, " n"], generator: np.random.Generator) -> list[float]:
    """Return the heights of a stack's slices, evenly spaced over those of points.

    A stack that would have lost all slices but one loses none.
    """
    low, high = heights_mm.min(), heights_mm.max()
    spacing = generator.uniform(*_SPACING_MM)
    slices = np.arange(low + generator.random() * spacing, high, spacing)
    missing = _MISSING * (generator.random() < _INCOMPLETE)
    left = slices[generator.random(len(slices)) >= missing]
    return (left if len(left) >= 2 else slices).tolist()
