"""Valves as thin discs where two structures meet, half in each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import igl
import numpy as np
from jaxtyping import Float

from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.measures.triangles import Triangles
from vecsetx.measures.valves import TOUCHING_MM, facing

__all__ = ["VALVES", "Disc", "check_thickness", "find_discs"]

VALVES = {
    "MitralValve": ("LA", "LV"),
    "TricuspidValve": ("RA", "RV"),
    "AorticValve": ("LV", "Aorta"),
    "PulmonaryValve": ("RV", "PA"),
}
"""Valve → the structures that it lies between."""

_THINNEST_MM = 0.1


@dataclass(frozen=True, slots=True)
class Disc:
    """A valve: the points of two structures that are close to where these meet.

    Attributes:
        name: Its name, such as ``MitralValve``.
        sides: The two structures.
        thickness_mm: Its thickness.
        opening: Where the structures meet.
        outside: The rest of their surfaces.
    """

    name: str
    sides: tuple[str, str]
    thickness_mm: float
    opening: Triangles
    outside: Triangles

    def distances(
        self,
        points_mm: Float[np.ndarray, "n 3"],
        first_mm: Float[np.ndarray, " n"],
        second_mm: Float[np.ndarray, " n"],
    ) -> Float[np.ndarray, " n"]:
        """Return signed distances: exact inside the disc; outside, they may be too short.

        Args:
            points_mm: RAS+ mm.
            first_mm: Signed distances to the first structure, which may be truncated.
            second_mm: Those to the second.
        """
        # 1. To the opening. It belongs to both surfaces, and is no nearer than either.
        opening_mm = np.maximum(np.abs(first_mm), np.abs(second_mm))
        near = np.flatnonzero(opening_mm < 2 * self.thickness_mm)
        opening_mm[near] = _to_surface(points_mm[near], self.opening)
        off_mm = opening_mm - self.thickness_mm / 2
        # 2. To both structures as one. On the opening itself, rounding decides what is inside.
        both_mm = np.minimum(first_mm, second_mm)
        inner = (both_mm < 0) | (np.maximum(first_mm, second_mm) < TOUCHING_MM)
        inner = np.flatnonzero(inner & (off_mm < 0))
        both_mm[inner] = -_to_surface(points_mm[inner], self.outside)
        return np.maximum(off_mm, both_mm)


def check_thickness(thickness_mm: float, option: str = "--valves") -> None:
    """Check the thickness of valves as given on the command line, 0 for none.

    Raises:
        InputError: No mesh can be that fine.
    """
    if 0 < thickness_mm < _THINNEST_MM:
        raise InputError(
            f"{option} {thickness_mm:g}: a valve is at least {_THINNEST_MM:g} mm thick; 0 leaves "
            "openings"
        )


def find_discs(
    geometry: Geometry, structures: Sequence[str], chosen: Sequence[str], thickness_mm: float
) -> tuple[tuple[Disc, ...], tuple[str, ...]]:
    """Find the valves of a heart.

    Args:
        geometry: The heart.
        structures: Names of its structures.
        chosen: Those that are meshed.
        thickness_mm: Thickness of the discs; 0 for none.

    Returns:
        The discs, and a sentence on each valve that there is none of.
    """
    found, lacking = [], []
    for name, sides in VALVES.items() if thickness_mm else ():
        if missing := [side for side in sides if side not in chosen]:
            why = "not meshed" if missing[0] in structures else "not in the heart"
            lacking.append(f"no {name}: {missing[0]} is {why}")
            continue
        first, second = (Triangles(*geometry.closed[structures.index(side)]) for side in sides)
        meets = facing(first, second, TOUCHING_MM)
        opening = first.only(meets)
        # A smaller opening than a square of its thickness is no disc.
        if opening.areas_mm2.sum() < thickness_mm**2:
            lacking.append(f"no {name}: {' and '.join(sides)} do not touch")
            continue
        rest = first.only(~meets), second.only(~facing(second, first, TOUCHING_MM))
        faces = np.concatenate([rest[0].faces, rest[1].faces + len(first.vertices_mm)])
        outside = Triangles(np.concatenate([each.vertices_mm for each in rest]), faces)
        found.append(Disc(name, sides, thickness_mm, opening, outside))
    return tuple(found), tuple(lacking)


def _to_surface(points_mm: np.ndarray, surface: Triangles) -> np.ndarray:
    """Return unsigned distances, mm."""
    if not len(points_mm):
        return np.empty(0, dtype=np.float32)
    square, _, _ = igl.point_mesh_squared_distance(
        points_mm.astype(np.float64), surface.vertices_mm, surface.faces
    )
    return np.sqrt(square).astype(np.float32)
