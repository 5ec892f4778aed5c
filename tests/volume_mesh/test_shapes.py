"""Shapes of tetrahedra: known ones, and VTK's."""

import numpy as np
import pytest
import pyvista as pv
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.regions import regular
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkFiltersVerdict import vtkMeshQuality

from vecsetx.volume_mesh.quality import (
    dihedral_angles_deg,
    in_parts,
    radius_ratios,
    scaled_jacobians,
    volumes_mm3,
)
from vecsetx.volume_mesh.shapes import shapes, shapes_at
from vecsetx.volume_mesh.splitting import EDGES

CORNERS = hnp.arrays(float, (5, 4, 3), elements=st.floats(-10, 10, width=32))


def test_a_regular_tetrahedron() -> None:
    points, tetrahedra = regular()
    assert volumes_mm3(points, tetrahedra) == pytest.approx(8 / 3)
    assert dihedral_angles_deg(points, tetrahedra) == pytest.approx(np.degrees(np.arccos(1 / 3)))
    assert scaled_jacobians(points, tetrahedra) == pytest.approx(1)
    assert shapes(points, tetrahedra) == pytest.approx(np.sqrt(8) / 3)
    assert radius_ratios(points, tetrahedra) == pytest.approx(1)


@pytest.mark.parametrize("height", [0.01, 0.5, 3.0])
def test_the_radius_ratio_of_a_corner_of_a_box(height: float) -> None:
    """Inradius: volume over area; the circumsphere is that of the box."""
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, height]]) - 7
    area = (1 + 2 * height + np.sqrt(1 + 2 * height**2)) / 2
    expected = 3 * (3 * height / 6 / area) / (np.sqrt(2 + height**2) / 2)
    assert radius_ratios(points, np.array([[0, 1, 2, 3]])) == pytest.approx(expected)


def test_one_that_is_inside_out_or_flat() -> None:
    points, tetrahedra = regular()
    turned = tetrahedra[:, [1, 0, 2, 3]]
    assert volumes_mm3(points, turned) == pytest.approx(-8 / 3)
    assert scaled_jacobians(points, turned) == pytest.approx(-1)
    assert shapes(points, turned) == pytest.approx(-np.sqrt(8) / 3)
    assert radius_ratios(points, turned) == pytest.approx(-1)
    flat = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert shapes(flat, np.array([[0, 1, 2, 3]])) == 0
    assert radius_ratios(flat, np.array([[0, 1, 2, 3]])) == 0
    assert np.isfinite(dihedral_angles_deg(flat, tetrahedra)).all()


def test_a_needle_is_no_good_shape_though_its_angles_are() -> None:
    base = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [-0.5, -np.sqrt(0.75), 0]])
    needle = np.concatenate([base, [[0, 0, 40.0]]])
    one = np.array([[0, 1, 2, 3]])
    assert dihedral_angles_deg(needle, one).min() > 59
    assert shapes(needle, one) == pytest.approx(2 * scaled_jacobians(needle, one))
    assert shapes(needle, one)[0] < 0.15


@given(CORNERS)
def test_shapes_are_those_of_the_slow_measures(corners: np.ndarray) -> None:
    points, tetrahedra = corners.reshape(-1, 3), np.arange(20).reshape(5, 4)
    volumes = volumes_mm3(points, tetrahedra)
    fit = volumes > 1e-3
    sines = np.sin(np.radians(dihedral_angles_deg(points, tetrahedra))).min(axis=1)
    expected = np.minimum(sines, 2 * scaled_jacobians(points, tetrahedra))
    found = shapes(points, tetrahedra)
    assert found[fit] == pytest.approx(expected[fit], rel=1e-6)
    assert (found[volumes < -1e-3] < 0).all()


@given(CORNERS, hnp.arrays(float, (3, 6, 3), elements=st.floats(-10, 10, width=32)), st.data())
def test_shapes_at_other_places_are_those_after_moving_there(
    corners: np.ndarray, places: np.ndarray, data: st.DataObject
) -> None:
    points, tetrahedra = corners.reshape(-1, 3), np.arange(20).reshape(5, 4)
    corner = data.draw(hnp.arrays(int, 5, elements=st.integers(0, 3)))
    row = data.draw(hnp.arrays(int, 5, elements=st.integers(0, 2)))
    found = shapes_at(points, tetrahedra, corner, places, row)
    for number in range(6):
        moved = points.copy()
        moved[tetrahedra[np.arange(5), corner]] = places[row, number]
        assert found[:, number] == pytest.approx(shapes(moved, tetrahedra), abs=1e-9)


def test_many_shapes_are_those_of_each() -> None:
    """Blocks end where tetrahedra do, and threads mix nothing up."""
    points, tetrahedra = random_tetrahedra()
    many = np.tile(tetrahedra, (300, 1))
    assert np.array_equal(shapes(points, many), np.tile(shapes(points, tetrahedra), 300))
    places, corner = points[None], np.arange(len(many)) % 4
    found = shapes_at(points, many, corner, places, np.zeros(len(many), dtype=int))
    assert np.array_equal(found[:100], found[-100:])
    assert len(found) == len(many)


def test_angles_are_those_between_planes_through_an_edge() -> None:
    points, tetrahedra = random_tetrahedra()
    expected = np.empty((len(tetrahedra), 6))
    for number, corners in enumerate(points[tetrahedra]):
        for edge, (i, j) in enumerate(EDGES):
            along = (corners[j] - corners[i]) / np.linalg.norm(corners[j] - corners[i])
            u, v = (corners[k] - corners[i] for k in range(4) if k not in (i, j))
            u, v = u - (u @ along) * along, v - (v @ along) * along
            cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
            expected[number, edge] = np.degrees(np.arccos(cosine))
    assert dihedral_angles_deg(points, tetrahedra) == pytest.approx(expected)
    found = in_parts(points, tetrahedra)
    assert found.least_deg == pytest.approx(expected.min(axis=1))
    assert found.largest_deg == pytest.approx(expected.max(axis=1))


def test_shapes_are_those_of_vtk() -> None:
    points, tetrahedra = random_tetrahedra()
    judge = vtkMeshQuality()
    judge.SetInputData(pv.UnstructuredGrid({pv.CellType.TETRA: tetrahedra}, points))
    for set_measure, ours in (
        (judge.SetTetQualityMeasureToScaledJacobian, in_parts(points, tetrahedra).jacobian),
        # VTK's is the reciprocal: 1 or more.
        (judge.SetTetQualityMeasureToRadiusRatio, 1 / in_parts(points, tetrahedra).radius_ratio),
        (judge.SetTetQualityMeasureToVolume, volumes_mm3(points, tetrahedra)),
    ):
        set_measure()
        judge.Update()
        theirs = vtk_to_numpy(judge.GetOutput().GetCellData().GetArray("Quality"))
        assert ours == pytest.approx(theirs, rel=1e-5)


def random_tetrahedra() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    points, tetrahedra = generator.normal(size=(400, 3)), np.arange(400).reshape(100, 4)
    turned = volumes_mm3(points, tetrahedra) < 0
    tetrahedra[turned] = tetrahedra[turned][:, [1, 0, 2, 3]]
    return points, tetrahedra
