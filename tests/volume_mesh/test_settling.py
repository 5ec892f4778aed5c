"""Vertices find interfaces, and where these end at the outer surface."""

import numpy as np
import pytest
from support.regions import made

from vecsetx.volume_mesh.edge_lengths import edges_within_mm
from vecsetx.volume_mesh.lattice import graded_lattice
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import Regions, rough_mesh
from vecsetx.volume_mesh.pieces import piece_volumes_ml
from vecsetx.volume_mesh.settling import _moved, outward_mm
from vecsetx.volume_mesh.shapes import shapes

RADIUS = 9.0


def two_halves(points: np.ndarray) -> np.ndarray:
    """A ball in two: along the plane between them, both distances are 0 all the way out."""
    away, x = np.linalg.norm(points, axis=1) - RADIUS, points[:, 0] - 0.3
    return np.stack([np.maximum(away, x), np.maximum(away, -x)], axis=1).astype(np.float32)


def test_an_interface_reaches_the_outer_surface() -> None:
    regions = Regions(two_halves, np.full(3, -RADIUS), np.full(3, RADIUS))
    mesh = made(regions, 1.5)
    rim = mesh.points_mm[mesh.around == 0b111]
    assert len(rim) > 30
    assert rim[:, 0] == pytest.approx(0.3, abs=0.2)
    # As far as shapes allow: by the two distances alone, it would end 0.6 mm inside.
    assert np.linalg.norm(rim, axis=1).mean() == pytest.approx(RADIUS, abs=0.35)


@pytest.mark.parametrize("opening", [180, 120, 90, 60])
def test_the_way_out_ends_at_the_surface(opening: int) -> None:
    """Of two blocks side by side, with a groove between them outside, or none."""
    slope = np.radians(90 - opening / 2)
    normals = np.array([[0, -np.sin(slope), np.cos(slope)], [0, np.sin(slope), np.cos(slope)]])

    def field(points: np.ndarray) -> np.ndarray:
        tops, y = points @ normals.T, points[:, 1]
        return np.stack([np.maximum(tops[:, 0], -y), np.maximum(tops[:, 1], y)], axis=1)

    depths = np.array([0.6, 0.2, 0.0, -0.3])
    points = np.stack([0 * depths, 0 * depths, -depths], axis=1)
    way = outward_mm(points, field, 1.6)
    assert way[:, 2] == pytest.approx(depths, abs=1e-9)
    assert way[:, :2] == pytest.approx(0, abs=1e-9)
    assert outward_mm(np.array([[0, 0, -1.7]]), field, 1.6) == pytest.approx(0)
    unknown = outward_mm(points, lambda at: np.full((len(at), 2), np.nan), 1.6)
    assert unknown == pytest.approx(0)


@pytest.mark.parametrize("longest_mm", [1.5, 4.0])
def test_nothing_leaks_through_a_wall(longest_mm: float) -> None:
    """A shell around a ball: no vertex of the ball lies on the outer surface."""
    thick = 2.0

    def field(points: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(points - 0.37, axis=1) - RADIUS
        return np.stack([away, np.maximum(away - thick, -away)], axis=1).astype(np.float32)

    size = np.full(3, RADIUS + thick + 0.4)
    regions = Regions(field, -size, size)
    edges = np.array([max(longest_mm, edges_within_mm(thick)), edges_within_mm(thick)])
    mesh = rough_mesh(regions, edges)
    assert not ((mesh.around & 0b011) == 0b011).any()
    volume = 4 / 3 * np.pi * ((RADIUS + thick) ** 3 - RADIUS**3) / 1000
    assert piece_volumes_ml(mesh, 2).sum() == pytest.approx(volume, rel=0.03)
    # With edges as long as the wall is thick, it has holes.
    holes = rough_mesh(regions, edges * thick / edges_within_mm(thick))
    assert ((holes.around & 0b011) == 0b011).any()


def test_no_move_spoils_a_shape_whatever_else_goes_back() -> None:
    points, tetrahedra = graded_lattice(
        np.zeros(3), np.full(3, 4.0), np.array([2.0]), lambda at: np.zeros((len(at), 1))
    )
    ways_mm = np.random.default_rng(0).normal(scale=0.3, size=points.shape)
    ways_mm[np.random.default_rng(9).random(len(points)) < 0.5] /= 5
    region = np.ones(len(tetrahedra), np.uint8)
    mesh = TetrahedralMesh(points, tetrahedra, region, np.full(len(points), 3, np.uint32))
    stays = _moved(mesh, np.arange(len(points)), ways_mm, 0.25)
    assert 0.1 < stays.mean() < 0.9
    np.testing.assert_array_equal(mesh.points_mm, points + np.where(stays[:, None], 0, ways_mm))
    least = np.minimum(shapes(points, tetrahedra), 0.25)
    assert (shapes(mesh.points_mm, tetrahedra) >= least - 1e-9).all()
