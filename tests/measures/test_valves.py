"""Valves between shapes whose openings are known."""

import igl
import numpy as np
import pytest
import pyvista as pv
from support.tubes import flat_tube

from vecsetx.measures.triangles import Triangles
from vecsetx.measures.valves import GAP_MM, facing, find_valve


def cylinder(low_mm: float, high_mm: float, radius_mm: float = 10.0) -> Triangles:
    line = np.outer(np.linspace(low_mm, high_mm, 40), [0.0, 0.0, 1.0])
    return flat_tube(line, radius_mm, around=96)


@pytest.mark.parametrize("gap_mm", [0, 1, 0.9 * GAP_MM])
def test_cylinders_end_to_end_meet_in_their_cross_section(gap_mm: float) -> None:
    valve = find_valve(cylinder(0, 30), cylinder(30 + gap_mm, 60))
    assert valve is not None
    assert valve.area_mm2 == pytest.approx(np.pi * 100, rel=0.01)
    np.testing.assert_allclose(valve.center_mm, [0, 0, 30], atol=0.1)
    np.testing.assert_allclose(valve.axis, [0, 0, 1], atol=0.01)


def test_the_narrower_one_decides() -> None:
    for first, second in ((10, 7), (7, 10)):
        valve = find_valve(cylinder(0, 30, first), cylinder(30.5, 60, second))
        assert valve is not None
        assert valve.area_mm2 == pytest.approx(np.pi * 49, rel=0.01)


def test_what_lies_apart_or_side_by_side_through_a_wall_has_none() -> None:
    assert find_valve(cylinder(0, 30), cylinder(30 + 1.1 * GAP_MM, 60)) is None
    beside = Triangles(
        cylinder(0, 30).vertices_mm + [20 + 1.1 * GAP_MM, 0, 0], cylinder(0, 30).faces
    )
    assert find_valve(cylinder(0, 30), beside) is None


def test_an_opening_that_bulges_has_the_area_of_its_rim() -> None:
    """A ball sunk into a plate up to its equator: half of its surface faces the plate."""
    vertices, faces = igl.icosahedron()
    for _ in range(4):
        vertices, faces = igl.upsample(vertices, faces)
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    ball = Triangles(10 * vertices, faces.astype(np.int64))
    lower = ball.only(ball.centers_mm[:, 2] < 0)
    bowl = Triangles(1.05 * lower.vertices_mm, np.ascontiguousarray(lower.faces[:, ::-1]))
    valve = find_valve(ball, bowl)
    assert valve is not None
    assert valve.area_mm2 == pytest.approx(np.pi * 100, rel=0.02)
    np.testing.assert_allclose(valve.axis, [0, 0, -1], atol=0.02)


def test_long_triangles_are_found_far_from_their_centres() -> None:
    """A small box on a strip whose twelve triangles have their centres far away."""

    def brick(low_mm: list[float], high_mm: list[float]) -> Triangles:
        box = pv.Box([v for pair in zip(low_mm, high_mm, strict=True) for v in pair])
        box = box.triangulate().compute_normals(auto_orient_normals=True, split_vertices=False)
        return Triangles(np.array(box.points, float), box.regular_faces.astype(np.int64))

    strip, small = brick([0, 0, 0], [400, 2, 2]), brick([65, 0, 2.5], [67, 2, 4])
    assert small.areas_mm2[facing(small, strip, GAP_MM)].sum() == pytest.approx(4)
