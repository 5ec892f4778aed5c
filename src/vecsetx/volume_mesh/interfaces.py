"""The interfaces of a mesh: facets between two regions or at the outer surface; their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.splitting import facets_of

__all__ = ["Interface", "facets_between", "name_of", "named_interfaces"]

_NAMES = {
    frozenset({"LV", "Myocardium"}): "LV endocardium",
    frozenset({"RV", "Myocardium"}): "RV septum",
    frozenset({"RV", "RVWall"}): "RV endocardium",
    frozenset({"LA", "LAWall"}): "LA endocardium",
    frozenset({"RA", "RAWall"}): "RA endocardium",
    frozenset({"LA", "LV"}): "mitral valve",
    frozenset({"RA", "RV"}): "tricuspid valve",
    frozenset({"Aorta", "LV"}): "aortic valve",
    frozenset({"PA", "RV"}): "pulmonary valve",
    frozenset({"Myocardium"}): "LV epicardium",
    frozenset({"RVWall"}): "RV epicardium",
    frozenset({"LAWall"}): "LA epicardium",
    frozenset({"RAWall"}): "RA epicardium",
}
"""Where two structures meet, or one and the background."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Facets between the same two regions.

    Attributes:
        name: Its name, such as ``LV endocardium`` or ``RA, Aorta``.
        sides: The two regions, 0 for the background; the normals point from the first to the
            second.
        facets: Corners of the facets.
        is_cut: Whether the scan ends there, and the structure goes on.
        beyond: The structure beyond an outer surface, if it is one that is not meshed.
    """

    name: str
    sides: tuple[int, int]
    facets: Int[np.ndarray, "f 3"]
    is_cut: bool = False
    beyond: str = ""

    def between(self, names: Sequence[str]) -> tuple[str, str]:
        """Return what lies on both sides, meshed or not; empty where nothing does.

        Args:
            names: Names of the K regions.
        """
        first, second = (names[side - 1] if side else self.beyond for side in self.sides)
        return first, second


def facets_between(mesh: TetrahedralMesh) -> SharedSurface:
    """Return all facets between two regions, and those of the outer surface.

    Their sides are ordered: the lower region first, the background last.
    """
    # Only facets whose corners all lie on interfaces can be part of one.
    on_interface = np.zeros(len(mesh.points_mm), dtype=bool)
    on_interface[mesh.on_interfaces()] = True
    facets = facets_of(mesh.tetrahedra)
    near = np.flatnonzero(on_interface[facets].all(axis=1))
    facets, region = facets[near], mesh.region[near // 4]
    ordered = np.sort(facets, axis=1)
    order = np.lexsort(ordered.T)
    same = (ordered[order[1:]] == ordered[order[:-1]]).all(axis=1)
    inner = np.zeros(len(order), dtype=bool)
    inner[1:] |= same
    inner[:-1] |= same
    # 1. Two tetrahedra of different regions: the facet as the lower region has it.
    one, other = order[:-1][same], order[1:][same]
    swapped = region[one] > region[other]
    one, other = np.where(swapped, other, one), np.where(swapped, one, other)
    different = region[one] != region[other]
    one, other = one[different], other[different]
    # 2. One tetrahedron: the outer surface.
    outer = order[~inner]
    faces = np.concatenate([facets[one], facets[outer]])
    first = np.concatenate([region[one], region[outer]]).astype(np.int64)
    second = np.concatenate([region[other], np.zeros(len(outer), mesh.region.dtype)])
    sides = np.stack([first, second.astype(np.int64)], axis=1)
    return SharedSurface(mesh.points_mm, faces, sides)


def named_interfaces(surface: SharedSurface, names: Sequence[str]) -> list[Interface]:
    """Sort facets by the regions that they lie between.

    Args:
        surface: The facets.
        names: Names of the K regions.
    """
    pairs, number = np.unique(surface.sides, axis=0, return_inverse=True)
    return [
        Interface(name_of(pair, names), (pair[0], pair[1]), surface.faces[number == index])
        for index, pair in enumerate(pairs.tolist())
    ]


def name_of(sides: Sequence[int], names: Sequence[str], beyond: str = "") -> str:
    """Return the name of the interface between two regions, of which 0 is the background.

    Args:
        sides: The two regions.
        names: Names of the K regions.
        beyond: The structure that takes the place of the background; empty for none.
    """
    between = [names[side - 1] if side else beyond for side in sides]
    between = [name for name in between if name]
    usual = between[0] + " outside" if len(between) == 1 else ", ".join(between)
    return _NAMES.get(frozenset(between), usual)
