"""Openings of cavities, and which of them lie at the base."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.pieces import number_joined

__all__ = ["NoBaseError", "Openings", "Surface", "openings_of", "pieces_of"]

_LARGE = 0.1
"""Of the largest opening's area; smaller ones are gaps of the segmentation, not valves or cuts."""

_FACES = 0.2
"""Share of an opening that leads to another structure, if it is a valve."""


class NoBaseError(ValueError):
    """Base or apex cannot be told; the message says why."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The interfaces of a mesh.

    Attributes:
        interfaces: The interfaces.
        sides: Names of what lies on both sides of each (:meth:`Interface.between`).
    """

    interfaces: Sequence[Interface]
    sides: Sequence[tuple[str, str]]

    def between(
        self, these: set[str], those: set[str], is_cut: bool | None = None
    ) -> Int[np.ndarray, "f 3"]:
        """Return the facets between some names and others; of cut ends or not, unless None."""
        found = [
            interface.facets
            for interface, sides in zip(self.interfaces, self.sides, strict=True)
            for one, other in (sides, sides[::-1])
            if one in these and other in those and is_cut in (None, interface.is_cut)
        ]
        return np.concatenate([np.empty((0, 3), dtype=np.int64), *found])


@dataclass(frozen=True, slots=True)
class Openings:
    """Vertices of a cavity's openings.

    Attributes:
        base: Those at the base: valves, or where they would be.
        apex: Those of a cut at the other end; empty if there is none.
    """

    base: Int[np.ndarray, " b"]
    apex: Int[np.ndarray, " a"]


def openings_of(mesh: TetrahedralMesh, surface: Surface, cavity: str, muscle: set[str]) -> Openings:
    """Find a cavity's openings: where it meets what is neither its muscle nor itself.

    Those that lead to other structures, meshed or not, are at the base; where the scan cuts the
    cavity elsewhere, that is the apex. If none leads to a structure, a single one is the base.

    Raises:
        NoBaseError: Several lead to nothing, so that nothing shows which is the base.
    """
    everything = {name for sides in surface.sides for name in sides} - muscle - {cavity}
    groups = [
        surface.between({cavity}, everything - {""}),
        surface.between({cavity}, {""}, is_cut=True),
        surface.between({cavity}, {""}, is_cut=False),
    ]
    facets = np.concatenate(groups)
    none = np.empty(0, dtype=np.int64)
    if not len(facets):
        return Openings(none, none)
    kind = np.repeat(np.arange(3), [len(group) for group in groups])
    numbers, piece = np.unique(
        pieces_of(facets, len(mesh.points_mm))[facets[:, 0]], return_inverse=True
    )
    areas_mm2 = _areas_mm2(mesh.points_mm[facets])
    of_kind = np.zeros((len(numbers), 3))
    np.add.at(of_kind, (piece, kind), areas_mm2)
    whole = of_kind.sum(axis=1)
    large = whole >= _LARGE * whole.max()
    is_valve = large & (of_kind[:, 0] >= _FACES * whole)
    is_cut = large & ~is_valve & (of_kind[:, 1] >= _FACES * whole)
    if not is_valve.any():
        if large.sum() > 1:
            raise NoBaseError(
                f"{cavity} is open at {large.sum()} ends, and no structure beyond shows which of "
                "them is the base"
            )
        is_valve, is_cut = large, np.zeros_like(large)
    return Openings(np.unique(facets[is_valve[piece]]), np.unique(facets[is_cut[piece]]))


def pieces_of(corners: Int[np.ndarray, "n c"], vertices: int) -> Int[np.ndarray, " v"]:
    """Return for each vertex the number of the piece that it is part of."""
    first = np.repeat(corners[:, 0], corners.shape[1] - 1)
    return number_joined(vertices, np.stack([first, corners[:, 1:].ravel()], axis=1))[1]


def _areas_mm2(facets_mm: Float[np.ndarray, "f 3 3"]) -> Float[np.ndarray, " f"]:
    a, b, c = np.moveaxis(facets_mm, 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
