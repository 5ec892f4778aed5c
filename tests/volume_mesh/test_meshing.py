"""Whole meshes of regions whose distances are known."""

from functools import cache

import numpy as np
import pytest
from support.regions import CENTERS, RADII, REGIONS, SHELL, counts_of_facets, made

from vecsetx.volume_mesh.cleaving import depths
from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.meshing import Regions, rough_mesh
from vecsetx.volume_mesh.pieces import piece_volumes_ml
from vecsetx.volume_mesh.quality import in_parts, volumes_mm3
from vecsetx.volume_mesh.shapes import shapes
from vecsetx.volume_mesh.splitting import facets_of

EDGE_MM = 1.5


@cache
def mesh() -> TetrahedralMesh:
    return made(REGIONS, EDGE_MM)


def outer_facets() -> np.ndarray:
    facets = facets_of(mesh().tetrahedra)
    ordered = np.sort(facets, axis=1)
    _, first, count = np.unique(ordered, axis=0, return_index=True, return_counts=True)
    return facets[first[count == 1]]


def test_shapes_are_those_that_solvers_take() -> None:
    least, largest, jacobian, _ = in_parts(mesh().points_mm, mesh().tetrahedra)
    assert least.min() > 12
    assert largest.max() < 165
    assert jacobian.min() > 0.1
    assert np.quantile(least, 0.01) > 20
    rough = rough_mesh(REGIONS, np.full(3, EDGE_MM))
    assert shapes(rough.points_mm, rough.tetrahedra).min() < 0.1  # there was something to do


def test_it_is_conforming() -> None:
    """Each facet inside is shared by two tetrahedra; what is left encloses the whole."""
    assert len(counts_of_facets(mesh().tetrahedra)) == 3
    outer = outer_facets()
    a, b, c = np.moveaxis(mesh().points_mm[outer], 1, 0)
    enclosed = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert enclosed == pytest.approx(volumes_mm3(mesh().points_mm, mesh().tetrahedra).sum())
    # A closed surface: each edge has as many facets in one direction as in the other.
    ends = np.concatenate([outer[:, [0, 1]], outer[:, [1, 2]], outer[:, [2, 0]]]).astype(int)
    forth, back = (np.sort(ends @ [1 << 32, 1]), np.sort(ends @ [1, 1 << 32]))
    assert (forth == back).all()


def test_volumes_are_the_regions() -> None:
    """Counted on a fine grid."""
    low, high = REGIONS.low_mm, REGIONS.high_mm
    axes = [np.arange(a + 0.1, b, 0.2) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    expected = np.bincount(depths(REGIONS.field(grid)).argmin(axis=1)) * 0.2**3 / 1000
    for region, rel in ((1, 0.01), (2, 0.01), (3, 0.02)):
        assert piece_volumes_ml(mesh(), region).sum() == pytest.approx(expected[region], rel=rel)
        assert len(piece_volumes_ml(mesh(), region)) == 1


def test_walls_are_where_the_field_has_them() -> None:
    interfaces = mesh().on_interfaces()
    values = depths(REGIONS.field(mesh().points_mm[interfaces]))
    bits = np.uint32(1) << np.arange(4, dtype=np.uint32)
    own = (mesh().around[interfaces, None] & bits) > 0
    off = np.where(own, values, -np.inf).max(axis=1) - np.where(own, values, np.inf).min(axis=1)
    assert off.mean() < 0.02
    assert off.max() < 0.68 * EDGE_MM
    alone = mesh().around[interfaces] == 0b0101
    outside = np.linalg.norm(
        mesh().points_mm[interfaces[mesh().around[interfaces] == 0b1001]] - CENTERS[0], axis=1
    )
    assert outside.mean() == pytest.approx(RADII[0] + SHELL, abs=0.02)
    assert alone.any()


def test_what_is_known_of_vertices_is_what_is_around_them() -> None:
    inner = regions_around(mesh().tetrahedra, mesh().region, len(mesh().points_mm))
    assert (mesh().around & ~np.uint32(1) == inner).all()
    outer = np.zeros(len(mesh().points_mm), dtype=bool)
    outer[outer_facets()] = True
    assert ((mesh().around & 1).astype(bool) == outer).all()


def test_the_same_seed_gives_the_same_mesh() -> None:
    again, other = made(REGIONS, EDGE_MM), made(REGIONS, EDGE_MM, seed=1)
    assert (again.points_mm == mesh().points_mm).all()
    assert (again.tetrahedra == mesh().tetrahedra).all()
    assert (
        len(other.points_mm) != len(mesh().points_mm) or (other.points_mm != mesh().points_mm).any()
    )


def test_a_thin_plate_between_two_blocks() -> None:
    """Thinner than an edge, but never a hole in it: the blocks touch nowhere."""

    def field(points: np.ndarray) -> np.ndarray:
        x = points[:, 0]
        side = np.maximum(np.abs(points[:, 1]), np.abs(points[:, 2])) - 6
        left, plate, right = -6 - x, np.abs(x) - 0.8, x - 6
        blocks = np.maximum(x + 0.8, left), plate, np.maximum(0.8 - x, right)
        return np.stack([np.maximum(block, side) for block in blocks], axis=1).astype(np.float32)

    regions = Regions(field, np.full(3, -6.0), np.full(3, 6.0))
    found = made(regions, 1.1)
    touching = (found.around & 0b1010) == 0b1010
    assert not touching.any()
    assert piece_volumes_ml(found, 2).sum() == pytest.approx(1.6 * 12 * 12 / 1000, rel=0.05)
    assert len(piece_volumes_ml(found, 2)) == 1
