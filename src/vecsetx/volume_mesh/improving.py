"""Better shaped tetrahedra: vertices around bad ones move, short edges vanish.

Both are kept only where the worst tetrahedron around gets better, so that no step makes anything
worse. A vertex on an interface stays on it, one where interfaces meet stays there, and edges vanish
only along the interfaces that they lie on. Around tetrahedra that stay bad, vertices may leave
their interfaces a little.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.quality import shapes, shapes_of
from vecsetx.volume_mesh.sampled_field import SampledField
from vecsetx.volume_mesh.settling import onto_interfaces
from vecsetx.volume_mesh.splitting import EDGES, compact
from vecsetx.volume_mesh.stars import Stars, apart

__all__ = ["improve"]

_PATCHES, _ROUNDS, _RINGS = 4, 8, 3
_DIRECTIONS = 14

_STUCK = 0.25
"""Shape for which vertices may leave their interfaces a little: dihedral angles of 14°."""

_GAIN = 1e-4
"""What the shape of the worst tetrahedron around has to gain for a change."""


def improve(
    mesh: TetrahedralMesh,
    field: SampledField,
    goal: float,
    edge_mm: float,
    generator: np.random.Generator,
) -> None:
    """Improve tetrahedra until their shape reaches a goal, or nothing helps.

    Args:
        mesh: What is improved.
        field: The interfaces.
        goal: The shape (:func:`~vecsetx.volume_mesh.quality.shapes`) that is good enough.
        edge_mm: Usual length of an edge.
        generator: Randomness of directions and turns.
    """
    for number in range(_PATCHES):
        loose = number > 0  # what still is bad is stuck
        if loose:
            goal = min(goal, _STUCK)
        bad = shapes_of(mesh.points_mm, mesh.tetrahedra) < goal
        if not bad.any():
            return
        patch = _Patch.around_bad(mesh, bad)
        for turn in range(_ROUNDS):
            changes = _collapse_edges(patch, goal)
            step_mm = 0.3 * edge_mm * 0.8**turn
            changes += _move_vertices(patch, field, goal, step_mm, loose, generator)
            if not changes:
                break
        patch.put_back(mesh)


@dataclass(slots=True)
class _Patch:
    """A part of a mesh, as a mesh of its own.

    Attributes:
        mesh: The part.
        fixed: Vertices that the rest of the mesh has, too.
        vertices: Number of each vertex in the whole mesh.
        rest: Tetrahedra of the whole mesh that are not in it.
    """

    mesh: TetrahedralMesh
    fixed: Bool[np.ndarray, " v"]
    vertices: Int[np.ndarray, " v"]
    rest: Bool[np.ndarray, " t"]

    @classmethod
    def around_bad(cls, mesh: TetrahedralMesh, bad: Bool[np.ndarray, " t"]) -> "_Patch":
        inside = bad
        for _ in range(_RINGS):
            near = np.zeros(len(mesh.points_mm), dtype=bool)
            near[mesh.tetrahedra[inside]] = True
            inside = near[mesh.tetrahedra].any(axis=1)
        outside = np.zeros(len(mesh.points_mm), dtype=bool)
        outside[mesh.tetrahedra[~inside]] = True
        vertices, tetrahedra = compact(mesh.tetrahedra[inside], len(mesh.points_mm))
        part = TetrahedralMesh(
            mesh.points_mm[vertices], tetrahedra, mesh.region[inside], mesh.around[vertices]
        )
        return cls(part, outside[vertices], vertices, ~inside)

    def put_back(self, mesh: TetrahedralMesh) -> None:
        """Let the whole mesh have what was changed."""
        mesh.points_mm[self.vertices] = self.mesh.points_mm
        mesh.around[self.vertices] = self.mesh.around
        tetrahedra = np.concatenate(
            [mesh.tetrahedra[self.rest], self.vertices[self.mesh.tetrahedra].astype(np.int32)]
        )
        region = np.concatenate([mesh.region[self.rest], self.mesh.region])
        used, mesh.tetrahedra = compact(tetrahedra, len(mesh.points_mm))
        mesh.region = region
        mesh.points_mm, mesh.around = mesh.points_mm[used], mesh.around[used]


def _move_vertices(
    patch: _Patch,
    field: SampledField,
    goal: float,
    step_mm: float,
    loose: bool,
    generator: np.random.Generator,
) -> int:
    """Try other places for the vertices of bad tetrahedra, once for each; return how many moved.

    If ``loose``, half of the places are not on the interfaces, but close to them.
    """
    mesh = patch.mesh
    sines = shapes(mesh.points_mm[mesh.tetrahedra])
    left = np.unique(mesh.tetrahedra[sines < goal])
    left = left[~patch.fixed[left]]
    near = np.zeros(len(mesh.points_mm), dtype=bool)
    near[left] = True
    around = mesh.tetrahedra[near[mesh.tetrahedra].any(axis=1)]
    moved = 0
    while len(left):
        chosen = apart(around, left, generator.random(len(left)), len(near))
        moved += _move(mesh, around, left[chosen], field, step_mm, loose, generator)
        left = left[~chosen]
    return moved


def _move(
    mesh: TetrahedralMesh,
    tetrahedra: np.ndarray,
    vertices: np.ndarray,
    field: SampledField,
    step_mm: float,
    loose: bool,
    generator: np.random.Generator,
) -> int:
    stars = Stars.of(tetrahedra, vertices)
    directions = generator.normal(size=(len(vertices), _DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    lengths = step_mm * np.geomspace(1, 0.1, _DIRECTIONS)[:, None]
    here = mesh.points_mm[vertices]
    tried = np.concatenate([here[:, None], here[:, None] + lengths * directions], axis=1)
    bound = np.flatnonzero(np.bitwise_count(mesh.around[vertices]) > 1)
    if len(bound):
        flat = tried[bound, 1:].reshape(-1, 3)
        around = np.repeat(mesh.around[vertices[bound]], _DIRECTIONS)
        onto = onto_interfaces(flat, around, field, step_mm).reshape(-1, _DIRECTIONS, 3)
        if loose:
            # Shorter ways first: the second half of the directions leave the interface the least.
            onto[:, _DIRECTIONS // 2 :] = tried[bound, 1 + _DIRECTIONS // 2 :]
        tried[bound, 1:] = onto
    corners = np.repeat(
        mesh.points_mm[tetrahedra[stars.tetrahedra]][:, None], tried.shape[1], axis=1
    )
    corners[np.arange(len(corners)), :, stars.corner] = tried[stars.owner]
    worst = np.minimum.reduceat(shapes(corners), stars.first, axis=0)
    best = worst.argmax(axis=1)
    rows = np.arange(len(vertices))
    better = worst[rows, best] > worst[:, 0] + _GAIN
    mesh.points_mm[vertices[better]] = tried[rows, best][better]
    return int(better.sum())


def _collapse_edges(patch: _Patch, goal: float) -> int:
    """Let edges of bad tetrahedra vanish where that improves the worst around; return how many."""
    mesh = patch.mesh
    before = shapes(mesh.points_mm[mesh.tetrahedra])
    pairs = _candidates(patch, before < goal)
    if not len(pairs):
        return 0
    gone, kept = pairs.T
    vertices, owner = np.unique(gone, return_inverse=True)
    stars = Stars.of(mesh.tetrahedra, vertices)
    # 1. One row for every tetrahedron around the vertex that goes, of every pair.
    count = np.diff(np.append(stars.first, len(stars.owner)))[owner]
    pair = np.repeat(np.arange(len(pairs)), count)
    start = np.cumsum(count) - count
    entry = np.arange(len(pair)) - start[pair] + stars.first[owner][pair]
    which = stars.tetrahedra[entry]
    corners = mesh.tetrahedra[which]
    vanishes = (corners == kept[pair, None]).any(axis=1)
    # 2. What remains has to be better than what was.
    changed = mesh.points_mm[corners]
    changed[np.arange(len(pair)), stars.corner[entry]] = mesh.points_mm[kept[pair]]
    worst_after = np.minimum.reduceat(np.where(vanishes, np.inf, shapes(changed)), start)
    gain = worst_after - np.minimum.reduceat(before[which], start)
    # 3. The edge has to lie on all interfaces of the vertex that goes, and join nothing.
    bits = np.where(vanishes, np.uint32(1) << mesh.region[which].astype(np.uint32), np.uint32(0))
    inner = mesh.around[gone] & ~np.uint32(1)
    fits = (gain > _GAIN) & (np.bitwise_or.reduceat(bits, start) & inner == inner)
    fits &= _linked(mesh, pairs, corners, pair, vanishes)
    if not fits.any():
        return 0
    return _collapse(patch, pairs[fits], gain[fits])


def _candidates(patch: _Patch, bad: np.ndarray) -> np.ndarray:
    """Return edges that may vanish, as the vertex that goes and the one that takes its place."""
    corners = patch.mesh.tetrahedra[bad]
    pairs = np.concatenate([corners[:, ends].reshape(-1, 2) for ends in (EDGES, EDGES[:, ::-1])])
    pairs = np.unique(pairs, axis=0)
    pairs = pairs[~patch.fixed[pairs].any(axis=1)]
    gone, kept = patch.mesh.around[pairs].T
    return pairs[gone & ~kept == 0]


def _linked(
    mesh: TetrahedralMesh,
    pairs: np.ndarray,
    corners: np.ndarray,
    pair: np.ndarray,
    vanishes: np.ndarray,
) -> np.ndarray:
    """Return which edges may vanish without joining what was apart.

    The neighbours that both ends have must be those of the tetrahedra around the edge (the link
    condition of Dey et al., "Topology preserving edge contraction", 1999, for vertices); and an
    edge between two vertices of the outer surface must lie on it.
    """
    count = np.int64(len(mesh.points_mm))
    of_gone = np.unique((pair[:, None] * count + corners).ravel())
    of_edge = np.unique((pair[vanishes, None] * count + corners[vanishes]).ravel())
    # Which of the one end's neighbours are also the other's?
    kept = np.unique(pairs[:, 1])
    stars = Stars.of(mesh.tetrahedra, kept)
    of_kept = np.unique((stars.owner[:, None] * count + mesh.tetrahedra[stars.tetrahedra]).ravel())
    which, vertex = np.divmod(of_gone, count)
    wanted = np.searchsorted(kept, pairs[:, 1])[which] * count + vertex
    at = np.searchsorted(of_kept, wanted).clip(max=len(of_kept) - 1)
    shared = np.bincount(which[of_kept[at] == wanted], minlength=len(pairs))
    around = np.bincount(of_edge // count, minlength=len(pairs))
    # Around an edge inside, tetrahedra close a ring of as many vertices; on the surface not.
    ring = np.bincount(pair[vanishes], minlength=len(pairs))
    outer = (mesh.around[pairs[:, 0]] & mesh.around[pairs[:, 1]] & np.uint32(1)).astype(bool)
    return (shared == around) & (~outer | (around - 2 == ring + 1))


def _collapse(patch: _Patch, pairs: np.ndarray, gain: np.ndarray) -> int:
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
