"""Tetrahedra that end at interfaces between regions: lattice vertices move there, edges are cut.

Isosurface stuffing (Labelle and Shewchuk, "Isosurface stuffing: fast tetrahedral meshes with good
dihedral angles", ACM TOG 2007) for several materials (as Bronson, Levine and Whitaker, "Lattice
cleaving", IEEE TVCG 2014, whose stencils are not used): a vertex that is close to an interface
moves onto it, so that what the cuts leave is never small. Then every edge whose ends lie in
different regions is cut where the two regions meet.
"""

import numpy as np
from jaxtyping import Float, Int

from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.pieces import remove_specks
from vecsetx.volume_mesh.sampled_field import Field
from vecsetx.volume_mesh.splitting import compact, distinct, edges_of, ends_of, keys_of, split_edges

__all__ = ["cleave", "depths"]

_CLOSE_LONG, _CLOSE_SHORT = 0.24999, 0.41189
"""A vertex moves to an interface within this share of a long or short edge of the lattice (Labelle
and Shewchuk's bounds, for which angles are at least 10.78° where two regions meet)."""

_LEAST_SHARE = 0.25
"""Where several interfaces meet, cuts keep this share of the edge away from its ends."""


def depths(distances: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k1"]:
    """Return how far outside of each region a point is; the first column, 0, is the background."""
    return np.concatenate([np.zeros((len(distances), 1), distances.dtype), distances], axis=1)


def cleave(
    points_mm: Float[np.ndarray, "v 3"],
    tetrahedra: Int[np.ndarray, "t 4"],
    distances_mm: Float[np.ndarray, "v k"],
    field: Field,
) -> TetrahedralMesh:
    """Let tetrahedra end at the interfaces between regions.

    Args:
        points_mm: Vertices of a lattice, mm.
        tetrahedra: The lattice.
        distances_mm: Signed distances to K regions at the vertices.
        field: Signed distances to K regions, at most 30.

    Returns:
        The tetrahedra inside any region.
    """
    points_mm, found = points_mm.copy(), distances_mm.copy()
    # The regions that a vertex belongs to, as bits: on an interface, both sides.
    regions = np.uint32(1) << depths(found).argmin(axis=1).astype(np.uint32)
    edges = edges_of(tetrahedra)
    _move_to_interfaces(points_mm, edges, found, regions, field)
    # Cut what still joins different regions; new edges may, where three regions meet.
    while len(edges := edges[regions[edges[:, 0]] & regions[edges[:, 1]] == 0]):
        share, sides = _crossing(found, regions, edges)
        # An end as close as that joins the interface; settling moves it there.
        for end, close in enumerate((share < _LEAST_SHARE, share > 1 - _LEAST_SHARE)):
            np.bitwise_or.at(regions, edges[close, end], sides[close])
        still = regions[edges[:, 0]] & regions[edges[:, 1]] == 0
        edges, share = edges[still], share[still].clip(_LEAST_SHARE, 1 - _LEAST_SHARE)[:, None]
        ends = points_mm[edges]
        added = (1 - share) * ends[:, 0] + share * ends[:, 1]
        first = len(points_mm)
        tetrahedra, _ = split_edges(tetrahedra, edges, first)
        points_mm = np.concatenate([points_mm, added])
        found = np.concatenate([found, field(added)])
        # With the regions of both ends, so that no edge is cut for ever where several meet.
        regions = np.concatenate([regions, regions[edges[:, 0]] | regions[edges[:, 1]]])
        keys = distinct(keys_of(tetrahedra[(tetrahedra >= first).any(axis=1)]))
        edges = ends_of(keys)
    region = _regions(points_mm, tetrahedra, regions, field)
    remove_specks(tetrahedra, region, np.bitwise_count(regions) > 1)
    around = regions_around(tetrahedra, region, len(points_mm))
    inner = region > 0
    used, tetrahedra = compact(tetrahedra[inner], len(points_mm))
    return TetrahedralMesh(points_mm[used], tetrahedra, region[inner], around[used])


def _regions(
    points_mm: np.ndarray, tetrahedra: np.ndarray, regions: np.ndarray, field: Field
) -> np.ndarray:
    """Return the region that all corners of a tetrahedron touch; of several, that at its centre."""
    common = np.bitwise_and.reduce(regions[tetrahedra], axis=1)
    region = np.log2(np.maximum(common, 1)).astype(np.uint8)
    unclear = np.flatnonzero(np.bitwise_count(common) != 1)
    at_center = depths(field(points_mm[tetrahedra[unclear]].mean(axis=1)))
    bits = np.uint32(1) << np.arange(at_center.shape[1], dtype=np.uint32)
    allowed = (common[unclear, None] & bits != 0) | (common[unclear, None] == 0)
    region[unclear] = np.where(allowed, at_center, np.inf).argmin(axis=1)
    return region


def _move_to_interfaces(
    points_mm: np.ndarray, edges: np.ndarray, found: np.ndarray, regions: np.ndarray, field: Field
) -> None:
    """Move vertices that are close to an interface onto it; update what is known of them.

    Neighbours take turns: once one of them is on the interface, the edge between them is not cut.
    """
    edges = edges[regions[edges[:, 0]] != regions[edges[:, 1]]]
    original = points_mm.copy()
    length = np.linalg.norm(original[edges[:, 0]] - original[edges[:, 1]], axis=1)
    # The long edges of a body-centred lattice are parallel to an axis.
    along = np.abs(original[edges[:, 0]] - original[edges[:, 1]]).max(axis=1) > 0.99 * length
    close = np.where(along, _CLOSE_LONG, _CLOSE_SHORT)
    moved = np.zeros(len(points_mm), dtype=bool)  # each moves once: to the interface closest by
    while True:
        cut = regions[edges[:, 0]] & regions[edges[:, 1]] == 0
        edges, close = edges[cut], close[cut]
        share, sides = _crossing(found, regions, edges)
        # One row per end that is close; shares count from that end.
        end = np.concatenate([edges[:, 0], edges[:, 1]])
        other = np.concatenate([edges[:, 1], edges[:, 0]])
        share, sides, close_to = (
            np.concatenate([share, 1 - share]),
            np.tile(sides, 2),
            np.tile(close, 2),
        )
        near = np.flatnonzero((share < close_to) & ~moved[end])
        if not len(near):
            return
        lengths = np.linalg.norm(points_mm[end[near]] - points_mm[other[near]], axis=1)
        away = np.full(len(points_mm), np.inf)
        np.minimum.at(away, end[near], share[near] * lengths)
        # The closest of neighbours first; of equals, that with the lower number.
        here, there = end[near], other[near]
        first = away[here] < away[there]
        first |= (away[here] == away[there]) & (here < there)
        waits = np.zeros(len(points_mm), dtype=bool)
        waits[here[~first]] = True
        chosen = near[(share[near] * lengths == away[here]) & ~waits[here]]
        _, one = np.unique(end[chosen], return_index=True)  # one way for each vertex
        chosen = chosen[one]
        moving, to = end[chosen], other[chosen]
        points_mm[moving] += share[chosen, None] * (points_mm[to] - points_mm[moving])
        found[moving] = field(points_mm[moving])
        regions[moving] = sides[chosen]
        moved[moving] = True


def _crossing(
    found: np.ndarray, regions: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where interfaces cut edges, as a share of the edge from its first end, and the sides.

    Between the region of an end and that of the other, distances change linearly. An end on an
    interface has several; the one that reaches farthest towards the other end is cut.
    """
    values = [depths(found[edges[:, end]]) for end in range(2)]
    bits = np.uint32(1) << np.arange(values[0].shape[1], dtype=np.uint32)
    within = [
        np.where(regions[edges[:, end], None] & bits != 0, values[1 - end], np.inf).argmin(axis=1)
        for end in range(2)
    ]
    rows = np.arange(len(edges))
    # Negative where the first end's region is the deeper one.
    start, stop = (values[end][rows, within[0]] - values[end][rows, within[1]] for end in range(2))
    start, stop = np.minimum(start, 0), np.maximum(stop, 0)
    span = stop - start
    share = np.where(span > 0, -start / np.where(span > 0, span, 1), 0.5)
    return share, bits[within[0]] | bits[within[1]]
