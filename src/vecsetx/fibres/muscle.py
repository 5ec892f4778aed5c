"""Muscle around cavities: its tetrahedra, inner and outer surfaces, base and apex."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["Muscle", "muscle_around"]

_LARGE_OPENING = 0.1
"""Of the largest opening's area; smaller ones are gaps of the segmentation, not valves."""

_NEAREST, _NEAREST_EDGES = 1.1, 0.5
"""A facet can be of the base if no vertex of the inner surface is nearer than the nearest rim
divided by the first number, beyond what the vertices' distance from each other may change, as a
multiple of the mean edge."""

_ACROSS = 0.6
"""Cosine between a facet's normal and the direction from the rim: the base faces away from it, the
outer surface faces along it."""

_CRUMB = 0.01
"""Share of the facets that a piece of the outer surface has at least."""

_APEX_EDGES = 1.5
"""Radius of the line through the apex, as a multiple of the mean edge."""


@dataclass(frozen=True, slots=True)
class Muscle:
    """Muscle around one or two cavities, the largest piece of it.

    Attributes:
        vertices: Its vertices, as those of the whole mesh. All others count among these.
        cells: Its tetrahedra, as those of the whole mesh.
        tetrahedra: Corners of its tetrahedra.
        inner: Cavity → vertices of the surface around it.
        outer: Vertices of the outer surface.
        base: Vertices where walls end, at valves and cuts.
        apex: Vertices on a line through the wall at the apex: the point of the outer surface
            of the first cavity's wall that is farthest from the cavity's openings.
        is_second: Whether a vertex is of the second cavity's wall, and not of the first one's.
    """

    vertices: Int[np.ndarray, " v"]
    cells: Int[np.ndarray, " t"]
    tetrahedra: Int[np.ndarray, "t 4"]
    inner: Mapping[str, Int[np.ndarray, " i"]]
    outer: Int[np.ndarray, " o"]
    base: Int[np.ndarray, " b"]
    apex: Int[np.ndarray, " a"]
    is_second: Bool[np.ndarray, " v"]


def muscle_around(
    mesh: TetrahedralMesh,
    names: Sequence[str],
    interfaces: Sequence[Interface],
    walls: Mapping[str, str],
) -> Muscle | None:
    """Find muscle and its surfaces.

    Args:
        mesh: The whole mesh.
        names: Names of its regions.
        interfaces: Its interfaces.
        walls: Cavity → its wall; both of them regions. The first cavity has the apex.

    Returns:
        The muscle; None if the first cavity has no opening, and so no base.
    """
    number = {name: region for region, name in enumerate(names, 1)}
    muscle = {number[wall] for wall in walls.values()}
    first = next(iter(walls))
    cells, corners = _largest_piece(mesh, muscle)
    own = np.zeros(len(mesh.points_mm), dtype=bool)
    own[corners] = True
    # 1. The inner surfaces: of the right ventricle, the septum has one without a wall of its own.
    cavities = [name for name in names if name in walls or (name == "RV" and first == "LV")]
    inner = {name: np.unique(_facing(interfaces, {number[name]}, muscle)) for name in cavities}
    inner = {name: vertices[own[vertices]] for name, vertices in inner.items()}
    inner = {name: vertices for name, vertices in inner.items() if len(vertices)}
    # 2. Their rims, around the openings of cavities with a wall of their own.
    rims = {
        name: np.intersect1d(inner[name], _openings(mesh, interfaces, number[name], muscle))
        for name in walls
        if name in inner
    }
    if first not in rims or not len(rims[first]):
        return None
    rim = np.concatenate(list(rims.values()))
    inside = np.concatenate(list(inner.values()))
    # 3. The rest of its surface.
    others = {*range(len(names) + 1)} - muscle - {number[name] for name in inner}
    outer, base = _outer_and_base(mesh.points_mm, interfaces, (muscle, others), own, rim, inside)
    is_second = (mesh.around >> np.uint32(number[walls[first]])) & 1 == 0
    first_outer = outer[~is_second[outer]]
    if not len(first_outer):
        return None
    apex = _apex(mesh.points_mm, corners, rims[first], inner[first], first_outer)
    # 4. Numbered as the muscle's own vertices.
    vertices = np.flatnonzero(own)
    local = np.cumsum(own) - 1
    return Muscle(
        vertices,
        cells,
        local[corners],
        {name: local[inner[name]] for name in inner},
        local[outer],
        local[base],
        local[apex],
        is_second[vertices],
    )


def _largest_piece(
    mesh: TetrahedralMesh, muscle: set[int]
) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, "t 4"]]:
    """Return the tetrahedra of the largest piece of these regions, and their corners."""
    cells = np.flatnonzero(np.isin(mesh.region, list(muscle)))
    corners = mesh.tetrahedra[cells]
    piece = _pieces(corners, len(mesh.points_mm))[corners[:, 0]]
    kept = piece == np.bincount(piece).argmax()
    return cells[kept], corners[kept].astype(np.int64)


def _pieces(corners: Int[np.ndarray, "n c"], vertices: int) -> Int[np.ndarray, " v"]:
    """Return for each vertex the number of the piece that it is part of."""
    first = np.repeat(corners[:, 0], corners.shape[1] - 1)
    second = corners[:, 1:].ravel()
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(vertices, vertices))
    return np.asarray(connected_components(links, directed=False)[1])


def _facing(
    interfaces: Sequence[Interface], these: set[int], those: set[int]
) -> Int[np.ndarray, "f 3"]:
    """Return the facets between these regions and those."""
    found = [
        interface.facets
        for interface in interfaces
        for one, other in (interface.sides, interface.sides[::-1])
        if one in these and other in those
    ]
    return np.concatenate([np.empty((0, 3), dtype=np.int64), *found])


def _openings(
    mesh: TetrahedralMesh, interfaces: Sequence[Interface], cavity: int, muscle: set[int]
) -> Int[np.ndarray, " n"]:
    """Return the vertices of a cavity's openings: to other structures, or else to nothing."""
    regions = set(range(1, int(mesh.region.max()) + 1)) - muscle - {cavity}
    facets = _facing(interfaces, {cavity}, regions)
    to_nothing = not len(facets)
    if to_nothing:
        facets = _facing(interfaces, {cavity}, {0})
    if not len(facets):
        return np.empty(0, dtype=np.int64)
    a, b, c = np.moveaxis(mesh.points_mm[facets], 1, 0)
    areas_mm2 = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    pieces, piece = np.unique(
        _pieces(facets, len(mesh.points_mm))[facets[:, 0]], return_inverse=True
    )
    area_mm2 = np.bincount(piece, areas_mm2, minlength=len(pieces))
    # Of a heart that shows a ventricle alone, the valves' plane is the largest.
    large = (1.0 if to_nothing else _LARGE_OPENING) * area_mm2.max()
    return np.unique(facets[area_mm2[piece] >= large])


def _outer_and_base(
    points_mm: Float[np.ndarray, "v 3"],
    interfaces: Sequence[Interface],
    between: tuple[set[int], set[int]],
    own: Bool[np.ndarray, " v"],
    rim: Int[np.ndarray, " r"],
    inside: Int[np.ndarray, " i"],
) -> tuple[Int[np.ndarray, " o"], Int[np.ndarray, " b"]]:
    """Part the facets between muscle and others into outer surface and base; return vertices.

    Where the scan ends, there is no outer surface: the muscle goes on.
    """
    parts = [
        _facing([each for each in interfaces if each.is_cut == is_cut], *between)
        for is_cut in (False, True)
    ]
    facets = np.concatenate(parts)
    is_cut = np.repeat([False, True], [len(part) for part in parts])
    kept = own[facets].all(axis=1)
    facets, is_cut = facets[kept], is_cut[kept]
    is_base = _around_rim(points_mm[facets], points_mm[rim], points_mm[inside])
    is_outer = ~is_base & ~is_cut
    # Single facets that face along the rim are of the base, too.
    piece = _pieces(facets[is_outer], len(points_mm))[facets[:, 0]]
    counts = np.bincount(piece[is_outer], minlength=piece.max(initial=0) + 1)
    is_crumb = is_outer & (counts[piece] < _CRUMB * len(facets))
    base = np.union1d(facets[is_base | is_crumb], rim)
    return np.setdiff1d(facets[is_outer & ~is_crumb], inside), base


def _around_rim(
    facets_mm: Float[np.ndarray, "f 3 3"],
    rim_mm: Float[np.ndarray, "r 3"],
    inside_mm: Float[np.ndarray, "i 3"],
) -> Bool[np.ndarray, " f"]:
    """Return which facets belong to the base: a rim is nearest, and they do not face along it."""
    a, b, c = np.moveaxis(facets_mm, 1, 0)
    centers_mm, normals = facets_mm.mean(axis=1), np.cross(b - a, c - a)
    to_rim_mm, nearest = KDTree(rim_mm).query(centers_mm)
    to_inside_mm = KDTree(inside_mm).query(centers_mm)[0]
    edge_mm = np.linalg.norm(b - a, axis=1).mean()
    from_rim_mm = centers_mm - rim_mm[nearest]
    along = np.abs((normals * from_rim_mm).sum(axis=1))
    lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(from_rim_mm, axis=1)
    is_nearest = to_rim_mm <= _NEAREST * to_inside_mm + _NEAREST_EDGES * edge_mm
    return is_nearest & (along <= _ACROSS * lengths)


def _apex(
    points_mm: Float[np.ndarray, "v 3"],
    corners: Int[np.ndarray, "t 4"],
    rim: Int[np.ndarray, " r"],
    inner: Int[np.ndarray, " i"],
    outer: Int[np.ndarray, " o"],
) -> Int[np.ndarray, " a"]:
    """Return the vertices close to the line from the outer apex to the nearest inner point."""
    from_rim_mm = np.linalg.norm(points_mm[outer] - points_mm[rim].mean(axis=0), axis=1)
    tip = points_mm[outer[from_rim_mm.argmax()]]
    end = points_mm[inner[np.linalg.norm(points_mm[inner] - tip, axis=1).argmin()]]
    own = np.unique(corners)
    share = ((points_mm[own] - tip) @ (end - tip)) / ((end - tip) @ (end - tip))
    nearest = tip + np.clip(share, 0, 1)[:, None] * (end - tip)
    edges_mm = np.linalg.norm(points_mm[corners[:, 0]] - points_mm[corners[:, 1]], axis=1)
    off_mm = np.linalg.norm(points_mm[own] - nearest, axis=1)
    return own[off_mm <= _APEX_EDGES * edges_mm.mean()]
