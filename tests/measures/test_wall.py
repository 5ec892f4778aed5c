"""The thickness of walls that are known, and where the AHA's segments lie."""

import numpy as np
import pytest
from support.shapes import voxelized

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom.shapes import Ellipsoid
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.measures.heart_measures import measure_heart
from vecsetx.measures.triangles import Triangles
from vecsetx.measures.valves import find_valve
from vecsetx.measures.wall import long_axis_of, outer_wall, segments_of

NAMES = ("Myocardium", "LA", "LV", "RV")
SPACING_MM = 1.0


def ventricles(thick_mm: float = 8.0, lateral_mm: float = 0.0, septum=(-1.0, 0.0, 0.0)) -> Geometry:
    """A cavity of 50 × 50 × 80 mm, open at the top under an atrium; its apex below.

    The wall around it is ``thick_mm`` thick, and ``lateral_mm`` more opposite the septum, where a
    right ventricle lies.
    """
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = [-60, -60, -65]

    def distances(points: np.ndarray) -> np.ndarray:
        across = points @ septum
        moved = points + np.maximum(-across[..., None] / 33, 0) * lateral_mm * np.array(septum)
        above = points[..., 2]

        def ellipsoid(at: np.ndarray, grow: float) -> np.ndarray:
            radii = np.array([25.0, 25.0, 55.0]) + grow
            return (np.linalg.norm(at / radii, axis=-1) - 1) * radii.min()

        cavity = np.maximum(ellipsoid(points, 0), above)
        wall = np.maximum(ellipsoid(moved, thick_mm), above)
        atrium = np.maximum(np.linalg.norm(points / [25, 25, 30], axis=-1) * 25 - 25, -above)
        beside = points - 45 * np.array(septum) + [0, 0, 15]
        right = np.linalg.norm(beside, axis=-1) - 22
        muscle, right = np.maximum(wall, -cavity), np.maximum(right, -wall)
        return np.stack([muscle, atrium, cavity, right], axis=-1)

    return Geometry.of_label_map(voxelized(distances, (120, 120, 100), affine), len(NAMES))


def surfaces(geometry: Geometry) -> dict[str, Triangles]:
    return {name: Triangles(*closed) for name, closed in zip(NAMES, geometry.closed, strict=True)}


@pytest.fixture(scope="module")
def even() -> Geometry:
    return ventricles()


def test_a_wall_between_balls_to_one_percent() -> None:
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -45

    def shells(points: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(points, axis=-1)
        return np.stack([np.maximum(radius - 38, 28 - radius), radius - 28], axis=-1)

    geometry = Geometry.of_label_map(voxelized(shells, (91, 91, 91), affine), 2)
    found = measure_heart(geometry, ("Myocardium", "LV"))
    assert found["Myocardium_thickness_mm"].value == pytest.approx(10, rel=0.01)
    volume_ml = 4 / 3 * np.pi * (38**3 - 28**3) / 1000
    assert found["Myocardium_mass_g"].value == pytest.approx(1.05 * volume_ml, rel=0.01)
    assert "LA and LV meet" in found["LV_base_to_apex_mm"].reason


def test_the_rim_around_the_valve_is_no_wall(even: Geometry) -> None:
    """Along it, the distance to the cavity falls to 0."""
    found = measure_heart(even, NAMES)
    assert found["mitral_area_mm2"].value == pytest.approx(np.pi * 25**2, rel=0.04)
    assert found["LV_base_to_apex_mm"].value == pytest.approx(55, rel=0.01)
    rings = [range(1, 7), range(7, 13), range(13, 17)]
    for ring, exact_mm in zip(rings, _ring_means_mm(), strict=True):
        for number in ring:
            measured_mm = found[f"Myocardium_thickness_{number}_mm"].value
            assert measured_mm == pytest.approx(exact_mm, rel=0.01)


def _ring_means_mm() -> list[float]:
    """Mean distance of the outer ellipsoid from the inner one, in thirds of the cavity's length."""
    angle = np.linspace(0, np.pi / 2, 4000)
    outer = np.stack([33 * np.cos(angle), 0 * angle, -63 * np.sin(angle)], axis=1)
    distance_mm, _ = Ellipsoid(np.zeros(3), np.array([25.0, 25.0, 55.0])).evaluate(outer)
    area = outer[:, 0] * np.linalg.norm(np.gradient(outer, axis=0), axis=1)
    third = (-outer[:, 2] / 55 * 3).astype(int)
    return [float(np.average(distance_mm[third == n], weights=area[third == n])) for n in range(3)]


@pytest.mark.parametrize("septum", [(-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, -0.8, 0.0)])
def test_segments_lie_where_the_aha_puts_them(septum) -> None:
    heart = surfaces(ventricles(septum=septum))
    mitral = find_valve(heart["LA"], heart["LV"])
    axis = long_axis_of(heart["LV"], mitral)
    np.testing.assert_allclose(axis.direction, [0, 0, -1], atol=0.03)
    wall = outer_wall(heart["Myocardium"], heart["LV"], heart["RV"])
    segment = segments_of(wall, axis)
    assert set(segment) == set(range(1, 18))
    center = {n: wall.centers_mm[segment == n].mean(axis=0) for n in range(1, 18)}
    # Seen from the apex, the septum is on the left and the anterior wall above.
    anterior = np.cross(septum, [0, 0, -1])
    for ahead, behind in ((1, 4), (7, 10), (13, 15)):
        assert center[ahead] @ anterior > 5
        assert center[behind] @ anterior < -5
    for number in (2, 3, 8, 9, 14):
        assert center[number] @ septum > 0
    for number in (5, 6, 11, 12, 16):
        assert center[number] @ septum < 0
    for front, back in ((2, 3), (6, 5), (8, 9), (12, 11)):
        assert center[front] @ anterior > center[back] @ anterior
    assert center[1][2] > center[7][2] > center[13][2] > center[17][2]


def test_a_thicker_lateral_wall_is_thicker_there() -> None:
    found = measure_heart(ventricles(lateral_mm=5.0), NAMES)
    thick = {n: found[f"Myocardium_thickness_{n}_mm"].value for n in range(1, 18)}
    for lateral, septal in ((5, 3), (6, 2), (11, 9), (12, 8), (16, 14)):
        assert thick[lateral] > thick[septal] + 2
    assert thick[2] == pytest.approx(8, rel=0.04)


def test_without_a_right_ventricle_there_are_no_segments(even: Geometry) -> None:
    found = measure_heart(even.without(np.array([False, False, False, True])), NAMES)
    assert found["Myocardium_thickness_mm"].known
    assert "no RV lies beside it" in found["Myocardium_thickness_1_mm"].reason


def test_what_the_scan_cuts_is_unknown_and_says_so(even: Geometry) -> None:
    whole = even.label_map
    affine = whole.affine.copy()
    affine[:3, 3] = whole.to_mm(np.array([0, 0, 40]))
    upper = LabelMap(whole.labels[:, :, 40:], affine)
    found = measure_heart(Geometry.of_label_map(upper, len(NAMES)), NAMES)
    for name in ("Myocardium_volume_ml", "LV_volume_ml", "LV_base_to_apex_mm", "Myocardium_mass_g"):
        assert "edge of the scan" in found[name].reason
        assert np.isnan(found[name].value)
    assert found["LA_volume_ml"].known
