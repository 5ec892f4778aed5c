"""Pieces of regions: tetrahedra that hang together by facets."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.quality import volumes_mm3
from vecsetx.volume_mesh.splitting import compact, edges_of, facets_of

__all__ = [
    "neighbors",
    "number_joined",
    "piece_volumes_ml",
    "remove_specks",
    "without_loose_walls",
]

_ROUNDS = 3


def neighbors(tetrahedra: Int[np.ndarray, "t 4"]) -> Int[np.ndarray, "p 2"]:
    """Return the pairs of tetrahedra that share a facet."""
    corners = np.sort(facets_of(tetrahedra), axis=1)
    order = np.lexsort(corners.T)
    same = (corners[order[1:]] == corners[order[:-1]]).all(axis=1)
    return np.stack([order[:-1][same], order[1:][same]], axis=1) // 4


def piece_volumes_ml(mesh: TetrahedralMesh, region: int) -> Float[np.ndarray, " n"]:
    """Return the volume of each piece of a region, 1…K."""
    tetrahedra = mesh.of_region(region)
    count, number = number_joined(len(tetrahedra), neighbors(tetrahedra))
    volumes = volumes_mm3(mesh.points_mm, tetrahedra) / 1000
    return np.bincount(number, weights=volumes, minlength=count).astype(np.float64)


def remove_specks(
    tetrahedra: Int[np.ndarray, "t 4"],
    region: UInt[np.ndarray, " t"],
    on_interface: Bool[np.ndarray, " v"],
) -> None:
    """Give specks to the region around them: pieces without a vertex inside.

    Such tetrahedra are left where a region ends in a ridge, or is thinner than an edge.

    Args:
        tetrahedra: All tetrahedra, those of the background (region 0) included.
        region: Region of each; changed in place.
        on_interface: Whether each vertex lies on an interface.
    """
    corners = on_interface[tetrahedra].sum(axis=1, dtype=np.int8)
    # Only tetrahedra with three corners on interfaces have a facet that a speck could have, too.
    near = np.flatnonzero(corners >= 3)
    pairs = neighbors(tetrahedra[near])
    rooted = corners[near] == 3
    for _ in range(_ROUNDS):
        own = region[near]
        same = own[pairs[:, 0]] == own[pairs[:, 1]]
        count, number = number_joined(len(near), pairs[same])
        has_root = np.zeros(count, dtype=bool)
        has_root[number[rooted]] = True
        speck = ~has_root[number]
        if not speck.any():
            return
        # The region behind most of its facets.
        both = np.concatenate([pairs[~same], pairs[~same, ::-1]])
        both = both[speck[both[:, 0]]]
        votes = np.zeros((len(near), int(region.max()) + 1), dtype=np.int8)
        np.add.at(votes, (both[:, 0], own[both[:, 1]]), 1)
        voted = speck & votes.any(axis=1)
        region[near[voted]] = votes[voted].argmax(axis=1)


def without_loose_walls(
    mesh: TetrahedralMesh, structures: int
) -> tuple[TetrahedralMesh, dict[int, float]]:
    """Leave out pieces of walls that touch no structure.

    A wall is as thick as it is everywhere, so some of it may lie behind another structure that is
    not meshed, such as a vein. A solver cannot hold what floats there.

    Args:
        mesh: The mesh, of structures (regions 1…K) and walls.
        structures: K.

    Returns:
        The mesh without them, and the volume left out: region → ml.
    """
    of_wall = np.flatnonzero(mesh.region > structures)
    walls = mesh.tetrahedra[of_wall]
    _, piece = number_joined(len(mesh.points_mm), edges_of(walls))
    of_structures = sum(1 << region for region in range(1, structures + 1))
    held = np.unique(piece[mesh.around & np.uint32(of_structures) > 0])
    loose = of_wall[~np.isin(piece[walls[:, 0]], held)]
    if not len(loose):
        return mesh, {}
    volumes = volumes_mm3(mesh.points_mm, mesh.tetrahedra[loose]) / 1000
    found = mesh.region[loose]
    lost_ml = {int(k): float(volumes[found == k].sum()) for k in np.unique(found)}
    kept = np.ones(len(mesh.tetrahedra), dtype=bool)
    kept[loose] = False
    used, tetrahedra = compact(mesh.tetrahedra[kept], len(mesh.points_mm))
    region = mesh.region[kept]
    return TetrahedralMesh(mesh.points_mm[used], tetrahedra, region, mesh.around[used]), lost_ml


def number_joined(count: int, pairs: Int[np.ndarray, "p 2"]) -> tuple[int, Int[np.ndarray, " n"]]:
    """Return how many pieces things form that pairs join, and the piece of each, from 0."""
    ones = np.ones(len(pairs), dtype=bool)
    joined = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    found, number = connected_components(joined, directed=False)
    return int(found), number
