"""Meshes without some of their regions."""

from functools import cache

import numpy as np
import pytest
from support.regions import REGIONS, made

from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import regions_around
from vecsetx.volume_mesh.pieces import piece_volumes_ml

NAMES, IDS = ("LV", "RV", "Myocardium"), (3, 5, 1)


@cache
def whole() -> SolverMesh:
    mesh = made(REGIONS, 1.5)
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(len(mesh.tetrahedra), 3))
    interfaces = named_interfaces(facets_between(mesh), NAMES)
    ring = np.intersect1d(interfaces[0].facets, interfaces[1].facets)
    sets = {
        "ring": ring,
        "LV only": np.setdiff1d(mesh.of_region(1), mesh.tetrahedra[mesh.region > 1]),
    }
    height = {"height": mesh.points_mm[:, 2]}
    return SolverMesh(mesh, NAMES, IDS, interfaces, sets, height, {"fiber": vectors})


@pytest.mark.parametrize("dropped", [{"LV"}, {"LV", "RV"}, {"Myocardium"}])
def test_what_is_left_is_as_it_was(dropped: set[str]) -> None:
    found, before = whole().without(dropped), whole()
    assert found.names == [name for name in NAMES if name not in dropped]
    assert found.ids == [IDS[NAMES.index(name)] for name in found.names]
    for region, name in enumerate(found.names, 1):
        was = NAMES.index(name) + 1
        own, old = found.mesh.of_region(region), before.mesh.of_region(was)
        assert (found.mesh.points_mm[own] == before.mesh.points_mm[old]).all()
        cells, old_cells = found.mesh.region == region, before.mesh.region == was
        assert (found.vectors["fiber"][cells] == before.vectors["fiber"][old_cells]).all()
    assert (found.coordinates["height"] == found.mesh.points_mm[:, 2]).all()
    assert len(np.unique(found.mesh.tetrahedra)) == len(found.mesh.points_mm)


@pytest.mark.parametrize("dropped", [{"LV"}, {"LV", "RV"}, {"Myocardium"}])
def test_interfaces_keep_their_names_and_are_those_of_what_is_left(dropped: set[str]) -> None:
    found = whole().without(dropped)
    again = facets_between(found.mesh)
    expected = {
        tuple(sorted(facet)): tuple(sides)
        for facet, sides in zip(again.faces.tolist(), again.sides.tolist(), strict=True)
    }
    place = {tuple(at): index for index, at in enumerate(whole().mesh.points_mm.tolist())}
    number = np.array([place[tuple(at)] for at in found.mesh.points_mm.tolist()])
    of_facet = {
        tuple(sorted(facet)): interface.name
        for interface in whole().interfaces
        for facet in interface.facets.tolist()
    }
    count = 0
    for interface in found.interfaces:
        for facet in interface.facets.tolist():
            assert expected[tuple(sorted(facet))] == interface.sides
            assert of_facet[tuple(sorted(number[facet].tolist()))] == interface.name
            count += 1
    assert count == len(expected)
    # Normals point from the first side to the second, by the divergence theorem.
    for region in range(1, len(found.names) + 1):
        volume_ml = 0.0
        for interface in found.interfaces:
            sign = {interface.sides[0]: 1, interface.sides[1]: -1}.get(region, 0)
            a, b, c = np.moveaxis(found.mesh.points_mm[interface.facets], 1, 0)
            volume_ml += sign * np.einsum("ij,ij->", a, np.cross(b, c)) / 6000
        assert volume_ml == pytest.approx(piece_volumes_ml(found.mesh, region).sum())


def test_regions_around_vertices() -> None:
    found = whole().without({"LV"}).mesh
    own = regions_around(found.tetrahedra, found.region, len(found.points_mm))
    surface = np.zeros(len(found.points_mm), dtype=bool)
    shared = facets_between(found)
    surface[shared.faces[shared.sides[:, 1] == 0]] = True
    assert (found.around == own | surface.astype(np.uint32)).all()


def test_node_sets_keep_what_is_left() -> None:
    found = whole().without({"LV"})
    assert "LV only" not in found.node_sets
    ring = whole().mesh.points_mm[whole().node_sets["ring"]]
    assert (found.mesh.points_mm[found.node_sets["ring"]] == ring).all()
    assert whole().without(()) is whole()
