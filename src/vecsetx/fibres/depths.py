"""How deep points lie in a wall, up to where the wall ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from vecsetx.fibres.laplace import LaplaceProblem, System

__all__ = ["depths"]

_INSIDE = 1 / 3
"""How far from its end a wall is looked at, as a share of its thickness."""

_TURNS = 2
"""Each leaves a third of the error: what an end changes fades by exp(−π/3) on the way inside."""


def depths(
    problem: LaplaceProblem, surfaces: Sequence[Int[np.ndarray, " n"]]
) -> list[Float[np.ndarray, " v"]]:
    """Return for each surface of a wall how near it is, as shares that change evenly.

    Each share is 1 at its surface and 0 at the others; their sum is 1. Like
    :meth:`~vecsetx.fibres.laplace.LaplaceProblem.solve_evenly`, it solves Laplace's equation, then
    once more with the gradient's length as conductivity.

    Nothing is known about shares where a wall ends, at valves and cuts. Without flux there,
    surfaces of equal depth would meet the end at right angles, though those of the wall do not. So
    the flux through an end is that of the gradient a little farther inside: shares go on as inside.

    Args:
        problem: The wall's tetrahedra.
        surfaces: Vertices of each surface. Shares at the edges of ends are found like those inside.

    Raises:
        ArithmeticError: A solution was not found.
    """
    if not all(len(surface) for surface in surfaces):
        # A surface that there is not is near nowhere.
        kept = iter(depths(problem, [surface for surface in surfaces if len(surface)]))
        none = np.zeros(problem.mesh.nvertices)
        return [next(kept) if len(surface) else none for surface in surfaces]
    facets, given = _where_known(problem, surfaces)
    fixed = np.any(given, axis=0)
    system = problem.system(fixed)
    starts = [system.solve(surface.astype(float)) for surface in given[:-1]]
    ends = _Ends.of(problem, facets[~fixed[problem.mesh.facets[:, facets]].all(axis=0)], starts)
    even = np.ones(problem.mesh.nelements)
    first = [ends.solved(system, start, even) for start in starts]
    weight = _steepness(problem, first)
    system = problem.system(fixed, weight)
    found = [ends.solved(system, start, weight) for start in first]
    return [*found, 1 - np.sum(found, axis=0)]


def _where_known(
    problem: LaplaceProblem, surfaces: Sequence[Int[np.ndarray, " n"]]
) -> tuple[Int[np.ndarray, " f"], Bool[np.ndarray, "s v"]]:
    """Return the boundary's facets, and where the shares of each surface are known to be 1.

    At the edges of ends they are not: meshes cut the edges off, by a part of a tetrahedron's edge.
    """
    given = np.zeros((len(surfaces), problem.mesh.nvertices), dtype=bool)
    for own, vertices in zip(given, surfaces, strict=True):
        own[vertices] = True
    facets = problem.mesh.boundary_facets()
    corners = problem.mesh.facets[:, facets]
    of_ends = np.zeros(problem.mesh.nvertices, dtype=bool)
    known = np.any(given, axis=0)
    of_ends[corners[:, ~known[corners].all(axis=0)]] = True
    for own in given:
        if (own & ~of_ends).any():
            own &= ~of_ends
    return facets, given


def _steepness(
    problem: LaplaceProblem, found: Sequence[Float[np.ndarray, " v"]]
) -> Float[np.ndarray, " t"]:
    """Return how steep shares are in each tetrahedron, per mm; the last share is what is left."""
    shares = [*found, 1 - np.sum(found, axis=0)]
    # Where two surfaces count, both change by the same: half the sum is the one's.
    return np.sum([problem.steepness(each) for each in shares], axis=0) / 2


@dataclass(frozen=True, slots=True)
class _Ends:
    """The facets at which a wall ends.

    Attributes:
        corners: Vertices of each facet.
        cell: The tetrahedron that each is of.
        outwards_mm2: Its normal, as long as its area.
        around: Tetrahedra around the vertices whose gradients facets take.
        vertices: The vertices of these, as the wall's.
        inside: Which of them each facet takes the gradient of.
    """

    corners: Int[np.ndarray, "3 f"]
    cell: Int[np.ndarray, " f"]
    outwards_mm2: Float[np.ndarray, "f 3"]
    around: LaplaceProblem
    vertices: Int[np.ndarray, " n"]
    inside: Int[np.ndarray, " f"]

    @classmethod
    def of(
        cls,
        problem: LaplaceProblem,
        facets: Int[np.ndarray, " f"],
        found: Sequence[Float[np.ndarray, " v"]],
    ) -> "_Ends":
        """Find what the facets take from inside; shares that were found say how thick walls are."""
        mesh, steepness = problem.mesh, _steepness(problem, found)
        points_mm, corners, cell = mesh.p.T, mesh.facets[:, facets], mesh.f2t[0, facets]
        a, b, c = points_mm[corners]
        outwards_mm2 = np.cross(b - a, c - a) / 2
        from_inside_mm = a - points_mm[mesh.t[:, cell]].mean(axis=0)
        outwards_mm2 *= np.sign((outwards_mm2 * from_inside_mm).sum(axis=1, keepdims=True))
        areas_mm2 = np.linalg.norm(outwards_mm2, axis=1)
        # At the rims of ends, shares can be flat: they are as far inside as elsewhere.
        way_mm = _INSIDE / np.maximum(steepness[cell], steepness.mean())
        at_mm = (a + b + c) / 3 - (way_mm / areas_mm2)[:, None] * outwards_mm2
        inside = KDTree(points_mm).query(at_mm)[1]
        touched = np.isin(mesh.t, inside).any(axis=0)
        vertices, own = np.unique(mesh.t[:, touched], return_inverse=True)
        around = LaplaceProblem(points_mm[vertices], own.reshape(4, -1).T)
        within = np.searchsorted(vertices, inside)
        return cls(corners, cell, outwards_mm2, around, vertices, within)

    def solved(
        self, system: System, start: Float[np.ndarray, " v"], weight: Float[np.ndarray, " t"]
    ) -> Float[np.ndarray, " v"]:
        """Return a solution that goes on as inside.

        Args:
            system: The equations.
            start: Its values where they are given, and an estimate elsewhere.
            weight: The equations' conductivity.
        """
        found = start
        for _ in range(_TURNS):
            slopes = self.around.at_vertices(found[self.vertices])[self.inside]
            flux = weight[self.cell] * (slopes * self.outwards_mm2).sum(axis=1)
            inflow = np.bincount(self.corners.ravel(), np.tile(flux / 3, 3), len(found))
            found = system.solve(found, inflow)
        return found
