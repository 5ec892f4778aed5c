"""Fibres of two ventricles: balls with walls, of which the right one leans on the left one."""

from functools import cache

import numpy as np
import pytest
from support.regions import made

from vecsetx.fibres.heart_fibres import HeartFibres, heart_fibres
from vecsetx.fibres.rules import Angles
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import Regions
from vecsetx.volume_mesh.splitting import facets_of

NAMES = ("LV", "Myocardium", "RV", "RVWall")
RIGHT, BASE_MM = np.array([11.0, 0, 0]), 5.0
LV_MM, LEFT_MM, RV_MM, RIGHT_MM = 8.0, 12.0, 12.0, 15.0


def ventricles(points: np.ndarray) -> np.ndarray:
    left = np.linalg.norm(points, axis=1)
    right = np.linalg.norm(points - RIGHT, axis=1)
    regions = [
        left - LV_MM,
        np.maximum(left - LEFT_MM, LV_MM - left),
        np.maximum(right - RV_MM, LEFT_MM - left),
        np.maximum(np.maximum(right - RIGHT_MM, RV_MM - right), LEFT_MM - left),
    ]
    return np.stack([np.maximum(each, points[:, 2] - BASE_MM) for each in regions], axis=1).astype(
        np.float32
    )


@cache
def heart() -> tuple[TetrahedralMesh, HeartFibres]:
    low, high = np.array([-12.0, -15, -15]), np.array([26.0, 15, BASE_MM])
    mesh = made(Regions(ventricles, low, high), 1.0)
    interfaces = named_interfaces(facets_between(mesh), NAMES)
    return mesh, heart_fibres(mesh, NAMES, interfaces, Angles((60.0, -60.0), (0.0, 0.0)))


def helix_deg(near: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Angles of fibres, against circles around a vertical axis through a ball's centre."""
    mesh, fibres = heart()
    at = mesh.points_mm[mesh.tetrahedra[near]].mean(axis=1) - center
    outwards = at / np.linalg.norm(at, axis=1, keepdims=True)
    around = np.cross([0.0, 0, 1], outwards)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    up = np.cross(outwards, around)
    fibre = fibres.vectors["fiber"][near]
    return np.degrees(np.arctan((fibre * up).sum(axis=1) / (fibre * around).sum(axis=1)))


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres of tetrahedra, and their distances from the two balls' centres."""
    mesh, _ = heart()
    at = mesh.points_mm[mesh.tetrahedra].mean(axis=1)
    return at, np.linalg.norm(at, axis=1), np.linalg.norm(at - RIGHT, axis=1)


@pytest.mark.parametrize("depth", [0.1, 0.5, 0.9])
def test_angles_are_linear_in_the_depth_of_each_free_wall(depth: float) -> None:
    at, left, right = places()
    around = (at[:, 2] > -5) & (at[:, 2] < 3)
    region = heart()[0].region
    of_left = region == 2
    near = np.abs(left - (LV_MM + depth * (LEFT_MM - LV_MM))) < 0.3
    found = helix_deg(np.flatnonzero(of_left & around & near & (at[:, 0] < 0)), np.zeros(3))
    assert np.median(found) == pytest.approx(60 - 120 * depth, abs=8)
    near = np.abs(right - (RV_MM + depth * (RIGHT_MM - RV_MM))) < 0.3
    found = helix_deg(np.flatnonzero((region == 4) & around & near & (at[:, 0] > 11)), RIGHT)
    assert np.median(found) == pytest.approx(60 - 120 * depth, abs=8)


def test_the_septum_has_the_left_angles_on_the_left_and_the_right_ones_on_the_right() -> None:
    """Seen from the left, the right ventricle's +60° are −60°."""
    at, left, _ = places()
    septum = (heart()[0].region == 2) & (at[:, 0] > 6) & (np.abs(at[:, 1]) < 4)
    septum &= (at[:, 2] > -5) & (at[:, 2] < 3)
    for radius, expected in ((8.3, 51.0), (10.0, 0.0), (11.7, -51.0)):
        near = np.flatnonzero(septum & (np.abs(left - radius) < 0.3))
        assert np.median(helix_deg(near, np.zeros(3))) == pytest.approx(expected, abs=12)


def test_fibres_change_little_from_one_tetrahedron_to_the_next() -> None:
    """Also where the right wall meets the left one."""
    mesh, fibres = heart()
    facets = np.sort(facets_of(mesh.tetrahedra), axis=1)
    order = np.lexsort(facets.T)
    same = (facets[order[1:]] == facets[order[:-1]]).all(axis=1)
    one, other = order[:-1][same] // 4, order[1:][same] // 4
    muscle = np.isin(mesh.region, [2, 4])
    both = muscle[one] & muscle[other]
    fibre = fibres.vectors["fiber"]
    cosines = np.abs((fibre[one[both]] * fibre[other[both]]).sum(axis=1)).clip(0, 1)
    turns_deg = np.degrees(np.arccos(cosines))
    assert np.quantile(turns_deg, 0.95) < 25
    across = mesh.region[one[both]] != mesh.region[other[both]]
    assert across.sum() > 100
    assert np.quantile(turns_deg[across], 0.9) < 40


def test_coordinates() -> None:
    mesh, fibres = heart()
    ventricle, transmural = (fibres.coordinates[name] for name in ("ventricle", "transmural"))
    at = mesh.points_mm
    left, right = np.linalg.norm(at, axis=1), np.linalg.norm(at - RIGHT, axis=1)
    muscle = ~np.isnan(ventricle)
    free_left = muscle & (at[:, 0] < -4)
    assert ventricle[free_left].max() < 0.2
    free_right = muscle & (at[:, 0] > 15)
    assert ventricle[free_right].min() > 0.8
    # Of the left ventricle, the septum's right side is the outer one.
    septum = muscle & (at[:, 0] > 6) & (np.abs(at[:, 1]) < 5) & (left < LEFT_MM + 1e-3)
    depth = (left - LV_MM) / (LEFT_MM - LV_MM)
    assert np.abs(transmural - depth)[septum].mean() < 0.05
    depth = (right - RV_MM) / (RIGHT_MM - RV_MM)
    assert np.abs(transmural - depth)[free_right].mean() < 0.05
    assert at[fibres.node_sets["LV apex"]][:, 2].max() < -7
    # In the groove between the ventricles, the nearest rim lies lower than the base.
    assert np.quantile(at[fibres.node_sets["LV base"]][:, 2], 0.02) > BASE_MM - 1.5
