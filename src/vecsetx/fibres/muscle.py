"""Muscle around cavities: its tetrahedra, inner and outer surfaces, base and apex."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from vecsetx.fibres.openings import NoBaseError, Surface, openings_of, pieces_of
from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["Muscle", "muscle_around"]

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
            of the first cavity's wall that is farthest from the cavity's openings. Where the scan
            cuts the apex off, the end of the wall there.
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
) -> Muscle:
    """Find muscle and its surfaces.

    Args:
        mesh: The whole mesh.
        names: Names of its regions.
        interfaces: Its interfaces.
        walls: Cavity → its wall; both of them regions. The first cavity has the apex.

    Raises:
        NoBaseError: Base or apex cannot be told.
    """
    number = {name: region for region, name in enumerate(names, 1)}
    muscle, first = {*walls.values()}, next(iter(walls))
    cells, corners = _largest_piece(mesh, {number[wall] for wall in muscle})
    own = np.zeros(len(mesh.points_mm), dtype=bool)
    own[corners] = True
    sides = [interface.between(names) for interface in interfaces]
    surface = Surface(interfaces, sides)
    # 1. The inner surfaces: of the right ventricle, the septum has one without a wall of its own.
    cavities = [name for name in names if name in walls or (name == "RV" and first == "LV")]
    inner = {name: np.unique(surface.between({name}, muscle)) for name in cavities}
    inner = {name: vertices[own[vertices]] for name, vertices in inner.items()}
    inner = {name: vertices for name, vertices in inner.items() if len(vertices)}
    if first not in inner:
        raise NoBaseError(f"{first} and {walls[first]} do not touch")
    # 2. Where cavities with a wall of their own open: rims of the base, and of an apex cut off.
    openings = {name: openings_of(mesh, surface, name, muscle) for name in walls if name in inner}
    rims = {name: np.intersect1d(inner[name], found.base) for name, found in openings.items()}
    rim = np.concatenate(list(rims.values()))
    tip = np.intersect1d(inner[first], openings[first].apex)
    if not len(rims[first]):
        raise NoBaseError(f"{first} has no opening")
    # 3. The rest of its surface.
    inside = np.concatenate(list(inner.values()))
    others = {name for between in sides for name in between} - muscle - {*inner}
    outer, base, end = _outer_base_and_end(
        mesh.points_mm, surface, (muscle, others), own, (rim, tip), inside
    )
    is_second = (mesh.around >> np.uint32(number[walls[first]])) & 1 == 0
    first_outer = outer[~is_second[outer]]
    if not len(first_outer):
        raise NoBaseError(f"{walls[first]} has no outer surface")
    if not len(end):
        end = _apex(mesh.points_mm, corners, rims[first], inner[first], first_outer)
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
        local[end],
        is_second[vertices],
    )


def _largest_piece(
    mesh: TetrahedralMesh, muscle: set[int]
) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, "t 4"]]:
    """Return the tetrahedra of the largest piece of these regions, and their corners."""
    cells = np.flatnonzero(np.isin(mesh.region, list(muscle)))
    corners = mesh.tetrahedra[cells]
    piece = pieces_of(corners, len(mesh.points_mm))[corners[:, 0]]
    kept = piece == np.bincount(piece).argmax()
    return cells[kept], corners[kept].astype(np.int64)


def _outer_base_and_end(
    points_mm: Float[np.ndarray, "v 3"],
    surface: Surface,
    between: tuple[set[str], set[str]],
    own: Bool[np.ndarray, " v"],
    rims: tuple[Int[np.ndarray, " r"], Int[np.ndarray, " e"]],
    inside: Int[np.ndarray, " i"],
) -> tuple[Int[np.ndarray, " o"], Int[np.ndarray, " b"], Int[np.ndarray, " a"]]:
    """Part the facets between muscle and others; return the vertices of each part.

    Where the scan ends, there is no outer surface: the muscle goes on.

    Returns:
        The outer surface, the base, and where an apex is cut off (empty if it is not).
    """
    parts = [surface.between(*between, is_cut) for is_cut in (False, True)]
    facets = np.concatenate(parts)
    is_cut = np.repeat([False, True], [len(part) for part in parts])
    kept = own[facets].all(axis=1)
    facets, is_cut = facets[kept], is_cut[kept]
    rim = np.concatenate(rims)
    nearest, faces_along = _around_rim(points_mm[facets], points_mm[rim], points_mm[inside])
    is_end = nearest >= len(rims[0])
    is_near = nearest >= 0
    # Single facets that face along the rim are of the base, too.
    is_outer = (faces_along | ~is_near) & ~is_cut
    piece = pieces_of(facets[is_outer], len(points_mm))[facets[:, 0]]
    counts = np.bincount(piece[is_outer], minlength=piece.max(initial=0) + 1)
    is_crumb = is_outer & is_near & (counts[piece] < _CRUMB * len(facets))
    is_rim = (is_near & ~faces_along) | is_crumb
    base = np.union1d(facets[is_rim & ~is_end], rims[0])
    end = np.union1d(facets[is_rim & is_end], rims[1])
    return np.setdiff1d(facets[is_outer & ~is_crumb], inside), base, end


def _around_rim(
    facets_mm: Float[np.ndarray, "f 3 3"],
    rim_mm: Float[np.ndarray, "r 3"],
    inside_mm: Float[np.ndarray, "i 3"],
) -> tuple[Int[np.ndarray, " f"], Bool[np.ndarray, " f"]]:
    """Return the vertex of a rim that is nearest to each facet, and whether it faces along it.

    −1 where the inner surface is nearer than any rim.
    """
    a, b, c = np.moveaxis(facets_mm, 1, 0)
    centers_mm, normals = facets_mm.mean(axis=1), np.cross(b - a, c - a)
    to_rim_mm, nearest = KDTree(rim_mm).query(centers_mm)
    to_inside_mm = KDTree(inside_mm).query(centers_mm)[0]
    edge_mm = np.linalg.norm(b - a, axis=1).mean()
    from_rim_mm = centers_mm - rim_mm[nearest]
    along = np.abs((normals * from_rim_mm).sum(axis=1))
    lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(from_rim_mm, axis=1)
    is_nearest = to_rim_mm <= _NEAREST * to_inside_mm + _NEAREST_EDGES * edge_mm
    return np.where(is_nearest, nearest, -1), along > _ACROSS * lengths


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
