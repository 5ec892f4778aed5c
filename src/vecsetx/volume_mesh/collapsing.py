"""Edges of bad tetrahedra vanish where the worst tetrahedron around them gets better."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.patch import Patch
from vecsetx.volume_mesh.shapes import shapes, shapes_at
from vecsetx.volume_mesh.splitting import EDGES, distinct, ends_of
from vecsetx.volume_mesh.stars import Stars

__all__ = ["collapse_edges"]

_GAIN = 1e-4
"""What the shape of the worst tetrahedron around has to gain for an edge to vanish."""


@dataclass(frozen=True, slots=True)
class _Ways:
    """Ways to let edges vanish, and the tetrahedra around the vertex that goes.

    Attributes:
        pairs: The vertex that goes, and the one that takes its place.
        start: Where the tetrahedra of each way begin.
        way: The way of each tetrahedron that follows.
        tetrahedra: Their numbers in the mesh.
        corner: Which of their corners goes.
        vanishes: Whether they have both vertices.
    """

    pairs: Int[np.ndarray, "p 2"]
    start: Int[np.ndarray, " p"]
    way: Int[np.ndarray, " n"]
    tetrahedra: Int[np.ndarray, " n"]
    corner: Int[np.ndarray, " n"]
    vanishes: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, mesh: TetrahedralMesh, pairs: Int[np.ndarray, "p 2"]) -> "_Ways":
        vertices, owner = np.unique(pairs[:, 0], return_inverse=True)
        stars = Stars.of(mesh.tetrahedra, vertices)
        count = np.diff(np.append(stars.first, len(stars.owner)))[owner]
        start = np.cumsum(count) - count
        way = np.repeat(np.arange(len(pairs)), count)
        entry = np.arange(len(way)) - start[way] + stars.first[owner][way]
        which = stars.tetrahedra[entry]
        vanishes = (mesh.tetrahedra[which] == pairs[way, 1, None]).any(axis=1)
        return cls(pairs, start, way, which, stars.corner[entry], vanishes)

    def only(self, chosen: Bool[np.ndarray, " p"]) -> "_Ways":
        """Return some of the ways."""
        own = chosen[self.way]
        way = (np.cumsum(chosen) - 1)[self.way[own]]
        start = np.searchsorted(way, np.arange(np.count_nonzero(chosen)))
        rest = (self.tetrahedra[own], self.corner[own], self.vanishes[own])
        return _Ways(self.pairs[chosen], start, way, *rest)


def collapse_edges(patch: Patch, goal: float) -> int:
    """Let edges of bad tetrahedra vanish where that improves the worst around; return how many.

    Args:
        patch: What is changed.
        goal: Tetrahedra whose shape is less are bad.
    """
    mesh = patch.mesh
    before = shapes(mesh.points_mm, mesh.tetrahedra)
    pairs = _candidates(patch, before < goal)
    if not len(pairs):
        return 0
    ways = _Ways.of(mesh, pairs)
    # The quick questions first, as most edges fail one of them.
    ways = ways.only(_along_interfaces(mesh, ways))
    gain = _gain(mesh, ways, before)
    ways, gain = ways.only(gain > _GAIN), gain[gain > _GAIN]
    if not len(gain):
        return 0
    linked = _linked(mesh, ways)
    return _collapse(patch, ways.pairs[linked], gain[linked])


def _candidates(patch: Patch, bad: np.ndarray) -> np.ndarray:
    """Return edges that may vanish, as the vertex that goes and the one that takes its place."""
    corners = patch.mesh.tetrahedra[bad].astype(np.int64)
    ends = np.concatenate([EDGES, EDGES[:, ::-1]])
    pairs = ends_of(distinct(corners[:, ends[:, 0]] << 32 | corners[:, ends[:, 1]]))
    pairs = pairs[~patch.fixed[pairs].any(axis=1)]
    gone, kept = patch.mesh.around[pairs].T
    return pairs[gone & ~kept == 0]


def _along_interfaces(mesh: TetrahedralMesh, ways: _Ways) -> np.ndarray:
    """Return which edges lie on all interfaces of the vertex that goes."""
    bits = np.uint32(1) << mesh.region[ways.tetrahedra].astype(np.uint32)
    inner = mesh.around[ways.pairs[:, 0]] & ~np.uint32(1)
    around = np.bitwise_or.reduceat(np.where(ways.vanishes, bits, np.uint32(0)), ways.start)
    return around & inner == inner


def _gain(mesh: TetrahedralMesh, ways: _Ways, before: np.ndarray) -> np.ndarray:
    """Return by how much the worst tetrahedron around the vertex that goes gets better."""
    stays = ~ways.vanishes
    after = np.full(len(stays), np.inf)
    after[stays] = shapes_at(
        mesh.points_mm,
        mesh.tetrahedra[ways.tetrahedra[stays]],
        ways.corner[stays],
        mesh.points_mm[ways.pairs[:, 1], None],
        ways.way[stays],
    )[:, 0]
    worst = np.minimum.reduceat(before[ways.tetrahedra], ways.start)
    return np.minimum.reduceat(after, ways.start) - worst


def _linked(mesh: TetrahedralMesh, ways: _Ways) -> np.ndarray:
    """Return which edges may vanish without joining what was apart.

    The neighbours that both ends have must be those of the tetrahedra around the edge (the link
    condition of Dey et al., "Topology preserving edge contraction", 1999, for vertices); and an
    edge between two vertices of the outer surface must lie on it.
    """
    pairs, way = ways.pairs, ways.way[:, None]
    corners = mesh.tetrahedra[ways.tetrahedra]
    count = np.int64(len(mesh.points_mm))
    of_gone = distinct(way * count + corners)
    of_edge = distinct((way * count + corners)[ways.vanishes])
    # Which of the one end's neighbours are also the other's?
    kept = distinct(pairs[:, 1])
    stars = Stars.of(mesh.tetrahedra, kept)
    of_kept = distinct(stars.owner[:, None] * count + mesh.tetrahedra[stars.tetrahedra])
    which, vertex = np.divmod(of_gone, count)
    wanted = np.searchsorted(kept, pairs[:, 1])[which] * count + vertex
    at = np.searchsorted(of_kept, wanted).clip(max=len(of_kept) - 1)
    shared = np.bincount(which[of_kept[at] == wanted], minlength=len(pairs))
    around = np.bincount(of_edge // count, minlength=len(pairs))
    # Around an edge inside, tetrahedra close a ring of as many vertices; on the surface not.
    ring = np.bincount(ways.way[ways.vanishes], minlength=len(pairs))
    outer = (mesh.around[pairs[:, 0]] & mesh.around[pairs[:, 1]] & np.uint32(1)).astype(bool)
    return (shared == around) & (~outer | (around - 2 == ring + 1))


def _collapse(patch: Patch, pairs: np.ndarray, gain: np.ndarray) -> int:
    """Collapse edges whose surroundings do not touch, those that gain most first."""
    mesh, count = patch.mesh, len(patch.mesh.points_mm)
    # 1. The best way for each vertex.
    order = np.argsort(-gain, kind="stable")
    best = order[np.unique(pairs[order, 0], return_index=True)[1]]
    pairs, gain = pairs[best], gain[best]
    # 2. Each vertex around is claimed by the best edge; one that owns all of them may vanish.
    stars = Stars.of(mesh.tetrahedra, pairs[:, 0])
    rank = np.argsort(np.argsort(gain, kind="stable"))[stars.owner]
    around = mesh.tetrahedra[stars.tetrahedra]
    claim = np.full(count, -1)
    np.maximum.at(claim, around, rank[:, None])
    owns = np.logical_and.reduceat((claim[around] == rank[:, None]).all(axis=1), stars.first)
    # 3. One vertex takes the place of the other; tetrahedra with both vanish.
    target = np.arange(count, dtype=np.int32)
    target[pairs[owns, 0]] = pairs[owns, 1]
    tetrahedra = target[mesh.tetrahedra]
    ordered = np.sort(tetrahedra, axis=1)
    whole = (ordered[:, 1:] != ordered[:, :-1]).all(axis=1)
    mesh.tetrahedra, mesh.region = tetrahedra[whole], mesh.region[whole]
    # A region may have left a vertex; of vertices that the rest has, too, the rest knows.
    found = regions_around(mesh.tetrahedra, mesh.region, count) | (mesh.around & np.uint32(1))
    mesh.around = np.where(patch.fixed, mesh.around, found)
    return int(owns.sum())
