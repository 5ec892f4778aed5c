"""Plane cuts: areas that are known, and places that hold the most."""

import numpy as np
import pytest
from support.regions import CENTERS, RADII, REGIONS, SHELL, made, regular

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.plane_cut import PlaneCut, cut_by_plane, richest_place_mm


def areas_mm2(cut: PlaneCut, axis: int) -> np.ndarray:
    """By the shoelace formula: polygons whose corners are in a wrong order lose area."""
    u, v = np.moveaxis(np.delete(cut.corners_mm, axis, axis=2), 2, 0)
    return np.abs((u * np.roll(v, -1, axis=1) - np.roll(u, -1, axis=1) * v).sum(axis=1)) / 2


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("place_mm", [-0.7, 0.0, 0.4])
def test_cuts_of_a_regular_tetrahedron(axis: int, place_mm: float) -> None:
    """At a height h above its middle, a rectangle with the sides 1 + h and 1 − h, times √2."""
    points, tetrahedra = regular()
    mesh = TetrahedralMesh(points, tetrahedra, np.array([3], np.uint8), np.ones(4, np.uint32))
    cut = cut_by_plane(mesh, axis, place_mm)
    assert areas_mm2(cut, axis) == pytest.approx([2 * (1 - place_mm**2)])
    assert cut.region.tolist() == [3]
    assert cut.corners_mm[..., axis] == pytest.approx(place_mm)


def test_a_plane_through_one_corner_or_three() -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for corners, place_mm, expected in ((points, 0.25, 9 / 32), (1 - points, 0.25, 1 / 32)):
        mesh = TetrahedralMesh(
            corners, np.array([[0, 1, 2, 3]]), np.array([1], np.uint8), np.ones(4, np.uint32)
        )
        assert areas_mm2(cut_by_plane(mesh, 2, place_mm), 2) == pytest.approx([expected])
    assert len(cut_by_plane(mesh, 2, 1.5).region) == 0


def test_a_cut_of_three_regions_has_their_areas() -> None:
    mesh = made(REGIONS, 1.5)
    cut = cut_by_plane(mesh, 0, 0.2)
    areas = areas_mm2(cut, 0)
    assert cut.corners_mm[..., 0] == pytest.approx(0.2)
    ball = np.pi * (RADII[0] ** 2 - 0.2**2)
    assert areas[cut.region == 1].sum() == pytest.approx(ball, rel=0.01)
    shell = np.pi * ((RADII[0] + SHELL) ** 2 - 0.2**2) - ball
    assert areas[cut.region == 3].sum() == pytest.approx(shell, rel=0.03)
    assert not (cut.region == 2).any()


def test_the_richest_place_has_all_regions() -> None:
    mesh = made(REGIONS, 1.5)
    assert set(np.unique(cut_by_plane(mesh, 1, richest_place_mm(mesh, 1)).region)) == {1, 2, 3}
    # Across the line between the centres, all regions are cut close to it; most tetrahedra, too.
    assert abs(richest_place_mm(mesh, 2) - CENTERS[0, 2]) < 3
