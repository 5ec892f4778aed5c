"""Rings of valves: closed curves around openings, and rims of discs."""

from functools import cache

import numpy as np
import pytest
from support.loops import loops_around
from support.regions import REGIONS, made

from vecsetx.volume_mesh.interfaces import Interface, facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.rings import valve_rings

NAMES = ("LA", "LV", "Myocardium")


@cache
def mesh() -> TetrahedralMesh:
    return made(REGIONS, 1.5)


def test_the_ring_of_an_opening_is_the_closed_curve_around_it() -> None:
    interfaces = named_interfaces(facets_between(mesh()), NAMES)
    rings = valve_rings(interfaces, NAMES)
    assert list(rings) == ["mitral ring"]
    (opening,) = (each for each in interfaces if each.name == "mitral valve")
    (loop,) = loops_around(opening.facets)
    assert loop == rings["mitral ring"].tolist()
    # It lies where the structures meet a third region, or nothing.
    around = mesh().around[loop]
    assert (np.bitwise_count(around) >= 3).all()
    values = REGIONS.field(mesh().points_mm[loop])
    assert np.abs(values[:, :2]).max(axis=1).mean() < 0.15


@pytest.mark.parametrize("names", [("LV", "RV", "Myocardium"), ("LA", "Myocardium", "LV")])
def test_what_is_no_valve_has_no_ring(names: tuple[str, ...]) -> None:
    interfaces = named_interfaces(facets_between(mesh()), names)
    if "LA" in names:  # they touch in a shell only
        interfaces = [each for each in interfaces if {*each.sides} != {1, 3}]
    assert valve_rings(interfaces, names) == {}


def test_the_ring_of_a_disc_is_its_rim() -> None:
    names = ("LV", "Aorta", "Myocardium", "AorticValve")
    facets = np.arange(18).reshape(6, 3)
    sides = [(1, 4), (2, 4), (3, 4), (4, 0), (1, 3), (2, 0)]
    interfaces = [Interface(str(index), side, facets[[index]]) for index, side in enumerate(sides)]
    rings = valve_rings(interfaces, names)
    assert {name: ring.tolist() for name, ring in rings.items()} == {
        "aortic ring": [6, 7, 8, 9, 10, 11]
    }
