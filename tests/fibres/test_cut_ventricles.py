"""Ventricles that a scan cuts: which end is the base, or that nothing shows it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.regions import made
from support.ventricle import BASE_MM, fibres_of, ventricle

from vecsetx.fibres.heart_fibres import heart_fibres
from vecsetx.fibres.rules import Angles
from vecsetx.volume_mesh.interfaces import Interface, facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.meshing import Regions

NAMES = ("LV", "Myocardium")
CUT_MM = -10.0


@cache
def cut_off() -> TetrahedralMesh:
    """The ellipsoid without its apex."""

    def field(points: np.ndarray) -> np.ndarray:
        return np.maximum(ventricle(points), (CUT_MM - points[:, 2])[:, None]).astype(np.float32)

    low, high = np.array([-10.0, -10, CUT_MM]), np.array([10.0, 10, BASE_MM])
    return made(Regions(field, low, high), 0.8)


def interfaces_of(mesh: TetrahedralMesh, beyond: dict[str, str]) -> list[Interface]:
    """Interfaces whose flat ends are parted: the lower one a cut, the upper one as asked for."""
    found = []
    for interface in named_interfaces(facets_between(mesh), NAMES):
        heights = mesh.points_mm[interface.facets][:, :, 2]
        lower = (heights < CUT_MM + 0.3).all(axis=1) & (interface.sides[1] == 0)
        upper = (heights > BASE_MM - 0.3).all(axis=1) & (interface.sides[1] == 0)
        name = NAMES[interface.sides[0] - 1]
        parts = (
            (~lower & ~upper, {}),
            (lower, {"is_cut": True}),
            (upper, {"beyond": beyond.get(name, "")}),
        )
        for own, changes in parts:
            if own.any():
                found.append(replace(interface, facets=interface.facets[own], **changes))
    return found


def test_an_apex_that_is_cut_off_begins_at_the_cut() -> None:
    """Also if the opening there were the larger one: what lies beyond shows the base."""
    mesh = cut_off()
    interfaces = interfaces_of(mesh, {"LV": "LA", "Myocardium": "LA"})
    angles = Angles((60.0, -60.0), (0.0, 0.0))
    heart = heart_fibres(mesh, NAMES, interfaces, angles)
    assert heart.remarks == ()
    at = mesh.points_mm
    assert np.abs(at[heart.node_sets["LV apex"]][:, 2] - CUT_MM).max() < 0.8
    assert np.abs(at[heart.node_sets["LV base"]][:, 2] - BASE_MM).max() < 0.8
    wall = mesh.region == 2
    centers = at[mesh.tetrahedra[wall]].mean(axis=1)
    exact = fibres_of(centers, 60.0, -60.0)
    cosines = np.abs((exact * heart.vectors["fiber"][wall]).sum(axis=1)).clip(0, 1)
    off_deg = np.degrees(np.arccos(cosines))
    assert off_deg.mean() < 1.0
    inside = (centers[:, 2] > CUT_MM + 1) & (centers[:, 2] < BASE_MM - 1)
    assert np.quantile(off_deg[inside], 0.99) < 3.0


def test_a_ventricle_open_at_both_ends_has_no_fibres_but_a_reason() -> None:
    heart = heart_fibres(cut_off(), NAMES, interfaces_of(cut_off(), {}), Angles())
    assert not heart.coordinates
    assert not heart.vectors
    (remark,) = heart.remarks
    assert remark.startswith("no fibres of Myocardium: LV is open at 2 ends, and no structure")


def test_upside_down() -> None:
    """Which end is larger, higher or first in the mesh says nothing."""
    mesh = cut_off()
    turned = []
    for each in interfaces_of(mesh, {}):
        is_upper = bool((mesh.points_mm[each.facets][:, :, 2] > BASE_MM - 0.3).all())
        turned.append(replace(each, is_cut=is_upper, beyond="LA" if each.is_cut else ""))
    heart = heart_fibres(mesh, NAMES, turned, Angles())
    at = mesh.points_mm
    assert np.abs(at[heart.node_sets["LV base"]][:, 2] - CUT_MM).max() < 0.8
    assert np.abs(at[heart.node_sets["LV apex"]][:, 2] - BASE_MM).max() < 0.8


def test_muscle_in_two_pieces_says_what_has_no_fibres() -> None:
    mesh = cut_off()
    count = len(mesh.points_mm)
    tetrahedra = np.concatenate([mesh.tetrahedra, mesh.tetrahedra[mesh.region == 2] + count])
    region = np.concatenate([mesh.region, mesh.region[mesh.region == 2]])
    points = np.concatenate([mesh.points_mm, mesh.points_mm + [60, 0, 0]])
    around = regions_around(tetrahedra, region, len(points))
    surface = np.unique(facets_between(mesh).faces)
    around[surface] = mesh.around[surface]
    around[surface + count] |= 1
    used = np.unique(tetrahedra)
    local = np.full(len(points), -1)
    local[used] = np.arange(len(used))
    both = TetrahedralMesh(points[used], local[tetrahedra].astype(np.int32), region, around[used])
    interfaces = interfaces_of(both, {"LV": "LA", "Myocardium": "LA"})
    heart = heart_fibres(both, NAMES, interfaces, Angles())
    (remark,) = heart.remarks
    assert remark.startswith("50.0% of Myocardium's tetrahedra have no fibres")


@pytest.mark.parametrize("missing", [0, 1])
def test_without_cavity_or_wall(missing: int) -> None:
    names = ["LV", "Myocardium"]
    names[missing] = "RA"
    heart = heart_fibres(
        cut_off(), names, named_interfaces(facets_between(cut_off()), names), Angles()
    )
    assert heart.remarks == ("no fibres of ventricles: they need LV and Myocardium",)
