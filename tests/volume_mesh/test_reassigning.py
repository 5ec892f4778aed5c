"""Tetrahedra change their regions where that helps, and surfaces stay regular."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from support.regions import REGIONS, counts_of_facets

from vecsetx.volume_mesh.interface_errors import off_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.meshing import rough_mesh
from vecsetx.volume_mesh.pieces import neighbors, piece_volumes_ml
from vecsetx.volume_mesh.reassigning import reassign
from vecsetx.volume_mesh.sampled_field import Field, SampledField
from vecsetx.volume_mesh.splitting import facets_of

EDGE_MM = 2.5
FAR_MM = 0.3 * EDGE_MM


def sampled(field: Field, mesh: TetrahedralMesh) -> SampledField:
    return SampledField(field, mesh.points_mm[mesh.on_interfaces()], EDGE_MM / 2, 2)


def elsewhere(points: np.ndarray) -> np.ndarray:
    return REGIONS.field(points + np.array([0.5, 0.0, 0.6]))


def noise(points: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(len(points), 3)).astype(np.float32)


def torn() -> TetrahedralMesh:
    """A mesh whose tetrahedra have regions by chance, so that few surfaces are regular."""
    mesh = rough_mesh(REGIONS, np.full(3, EDGE_MM))
    outer = mesh.around & np.uint32(1)
    chance = np.random.default_rng(2).integers(1, 4, len(mesh.region)).astype(np.uint8)
    mesh.region = np.where(np.random.default_rng(3).random(len(chance)) < 0.1, chance, mesh.region)
    mesh.around = regions_around(mesh.tetrahedra, mesh.region, len(mesh.points_mm)) | outer
    return mesh


def squared_errors(mesh: TetrahedralMesh, field: SampledField) -> float:
    interfaces = mesh.on_interfaces()
    values = field.at(mesh.points_mm[interfaces])[0]
    return float((off_interfaces(values, mesh.around[interfaces]) ** 2).sum())


def irregularities(mesh: TetrahedralMesh, region: int) -> int:
    """Edges of a region's surface without two facets, and vertices at which pieces of it touch."""
    sides: dict[tuple[int, ...], list[int]] = {}
    for corners, own in zip(np.sort(mesh.tetrahedra, axis=1).tolist(), mesh.region, strict=True):
        for facet in combinations(corners, 3):
            sides.setdefault(facet, []).append(int(own))
    surface = [f for f, of in sides.items() if ([*of, 0][:2].count(region)) == 1]
    edges = Counter(edge for facet in surface for edge in combinations(facet, 2))
    at_vertices = nx.Graph()
    for facet in surface:
        for vertex in facet:
            for other in set(facet) - {vertex}:
                at_vertices.add_edge((vertex, facet), (vertex, other))
    pieces = nx.number_connected_components(at_vertices) - len(set().union(*surface))
    return 2 * sum(count != 2 for count in edges.values()) + pieces


def whole() -> TetrahedralMesh:
    return rough_mesh(REGIONS, np.full(3, EDGE_MM))


@pytest.mark.parametrize(
    ("make", "distances", "least"),
    [(whole, REGIONS.field, 1), (whole, elsewhere, 10), (whole, noise, 30), (torn, noise, 100)],
)
def test_errors_get_less_and_surfaces_stay_regular(
    make: Callable[[], TetrahedralMesh], distances: Field, least: int
) -> None:
    """Whatever the distances say, and however the mesh looks."""
    mesh = make()
    field = sampled(distances, mesh)
    before = deepcopy(mesh)
    assert reassign(mesh, field, FAR_MM) >= least
    assert squared_errors(mesh, field) < squared_errors(before, field)
    for region in range(4):
        assert irregularities(mesh, region) <= irregularities(before, region)
    for region in range(1, 4):
        pieces = [len(piece_volumes_ml(of, region)) for of in (before, mesh)]
        assert 1 <= pieces[1] <= pieces[0]
    assert len(counts_of_facets(mesh.tetrahedra)) == 3
    # What is known of vertices is what the tetrahedra say, and no vertex is left without any.
    again = regions_around(mesh.tetrahedra, mesh.region, len(mesh.points_mm))
    assert again.all()
    facets = Counter(map(tuple, np.sort(facets_of(mesh.tetrahedra), axis=1).tolist()))
    again[list({v for facet, count in facets.items() if count == 1 for v in facet})] |= 1
    assert (again == mesh.around).all()


def test_the_last_tetrahedra_of_a_region_stay() -> None:
    mesh = whole()
    between = mesh.around[mesh.tetrahedra] & (mesh.around[mesh.tetrahedra] - 1) > 0
    pairs = neighbors(mesh.tetrahedra)
    pair = pairs[between[pairs].all(axis=(1, 2))][0]
    mesh.region[pair] = 4
    mesh.around[mesh.tetrahedra[pair]] |= 1 << 4

    def field(points: np.ndarray) -> np.ndarray:
        return np.column_stack([REGIONS.field(points), np.full(len(points), 5, np.float32)])

    assert reassign(mesh, sampled(field, mesh), FAR_MM) >= 1
    assert (mesh.region == 4).any()
