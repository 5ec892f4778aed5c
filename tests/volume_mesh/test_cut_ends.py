"""Cut ends: where the scan ends, on grids that lie anyhow."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.shapes import CENTRE_MM, grid_affine, voxelized

from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.volume_mesh.cut_ends import at_scan_edge, with_cut_ends
from vecsetx.volume_mesh.heart_mesh import mesh_heart
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.parts import Parts

SHAPE, SPACING = (50, 40, 30), (1.0, 1.2, 1.6)
HALF_MM = np.array(SHAPE) * SPACING / 2
"""Of the grid, from its centre to its outer faces."""

TUBE_MM, BALL_MM = 7.0, 10.0
BALL_AT = np.array([HALF_MM[0] - 3, -HALF_MM[1] + 10 + 1.2, 0])
"""In the grid's own axes: cut at the high end of the first, and one voxel off the second's end."""

TURNS = [
    (Rotation.identity(), ""),
    (Rotation.from_euler("xyz", [20, -35, 50], degrees=True), ""),
    (Rotation.from_euler("xyz", [-70, 10, 130], degrees=True), "j"),
]


def tube_and_ball(turn: Rotation, flips: str):
    """A tube that runs through the grid along its third axis, and a ball that it cuts once."""
    signs = np.array([-1.0 if axis in flips else 1.0 for axis in "ijk"])

    def distances(points_mm: np.ndarray) -> np.ndarray:
        at = turn.inv().apply((points_mm - CENTRE_MM).reshape(-1, 3)) * signs
        tube = np.linalg.norm(at[:, :2] - [-10, 5], axis=1) - TUBE_MM
        ball = np.linalg.norm(at - BALL_AT, axis=1) - BALL_MM
        return np.stack([tube, ball], axis=1).reshape(*points_mm.shape[:-1], 2)

    return distances


def made(turn: Rotation, flips: str) -> Geometry:
    affine = grid_affine(SHAPE, SPACING, turn, flips)
    return Geometry.of_label_map(voxelized(tube_and_ball(turn, flips), SHAPE, affine), 2)


def areas_and_normals(points_mm: np.ndarray, facets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = np.moveaxis(points_mm[facets], 1, 0)
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1) / 2
    return areas, normals / (2 * areas[:, None])


@pytest.mark.parametrize(("turn", "flips"), TURNS)
def test_caps_have_their_area_at_each_side_and_nothing_else_is_one(
    turn: Rotation, flips: str
) -> None:
    heart = made(turn, flips)
    assert heart.cut.tolist() == [True, True]
    cut_height = HALF_MM[0] - BALL_AT[0]
    caps = [
        {(2, 1): np.pi * TUBE_MM**2, (2, -1): np.pi * TUBE_MM**2},
        {(0, 1): np.pi * (BALL_MM**2 - cut_height**2)},
    ]
    signs = np.array([-1.0 if axis in flips else 1.0 for axis in "ijk"])
    for (points, faces), expected in zip(heart.closed, caps, strict=True):
        found = at_scan_edge(points, faces, heart.label_map.field_of_view)
        areas, normals = areas_and_normals(points, faces)
        outwards = turn.inv().apply(normals) * signs
        corners = turn.inv().apply((points[faces] - CENTRE_MM).reshape(-1, 3)) * signs
        corners = corners.reshape(-1, 3, 3)
        left = found.copy()
        for (axis, way), area in expected.items():
            depth = (HALF_MM[axis] - (way * corners[:, :, axis]).max(axis=1)) / SPACING[axis]
            facing = way * outwards[:, axis]
            here = found & (depth < 0.8) & (facing > 0.5)
            assert areas[here].sum() == pytest.approx(area, rel=0.12)
            # All that is flat lies in the cap.
            assert found[(depth < 0.4) & (facing > 0.9)].all()
            left &= ~here
        assert not left.any()


def test_what_is_one_voxel_off_the_edge_is_not_cut() -> None:
    heart = made(*TURNS[0])
    points, faces = heart.closed[1]
    low_mm = CENTRE_MM - HALF_MM
    assert points[:, 1].min() < low_mm[1] + 1.5 * SPACING[1]  # it comes that near
    found = at_scan_edge(points, faces, heart.label_map.field_of_view)
    assert points[faces[found]][..., 0].min() > CENTRE_MM[0] + HALF_MM[0] - 2
    assert found.any()


def test_where_unknown_voxels_begin_is_the_edge_too() -> None:
    heart = made(*TURNS[0])
    unknown = np.zeros(SHAPE, dtype=bool)
    unknown[:, :, 20:] = True
    labels = np.where(unknown, 0, heart.label_map.labels)
    scan = Geometry.of_label_map(replace(heart.label_map, labels=labels, unknown=unknown), 2)
    points, faces = scan.closed[0]
    found = at_scan_edge(points, faces, scan.label_map.field_of_view)
    areas, _ = areas_and_normals(points, faces)
    index = scan.label_map.to_indices(points[faces].mean(axis=1))[:, 2]
    high = found & (index > 15)
    assert index[high].mean() == pytest.approx(19.5, abs=0.3)
    assert areas[high].sum() == pytest.approx(np.pi * TUBE_MM**2, rel=0.12)
    assert (high | (index < 1) | ~found).all()


def test_ends_of_a_mesh_and_its_walls_are_interfaces_of_their_own() -> None:
    heart = made(*TURNS[1])
    parts = Parts(heart, ("Aorta", "RA"), ("Aorta", "RA"), {"Aorta": 3.0})
    assert parts.cut_names() == ["Aorta", "RA", "AortaWall"]
    one = replace(parts, geometry=replace(heart, cut=np.array([False, True])))
    assert one.cut_names() == ["RA"]
    mesh, _ = mesh_heart(parts, {"Aorta": 2.5, "AortaWall": 2.5, "RA": 2.5})
    before = named_interfaces(facets_between(mesh), parts.names)
    view = heart.label_map.field_of_view
    found = with_cut_ends(before, mesh.points_mm, parts.names, parts.cut_names(), view)
    assert [interface.name for interface in found] == [
        *("Aorta outside", "Aorta cut"),
        "Aorta, AortaWall",
        *("RA outside", "RA cut"),
        *("AortaWall outside", "AortaWall cut"),
    ]
    parted = np.concatenate([interface.facets for interface in found])
    whole = np.concatenate([interface.facets for interface in before])
    assert sorted(map(tuple, parted.tolist())) == sorted(map(tuple, whole.tolist()))
    area = {
        interface.name: areas_and_normals(mesh.points_mm, interface.facets)[0].sum()
        for interface in found
    }
    assert area["Aorta cut"] == pytest.approx(2 * np.pi * TUBE_MM**2, rel=0.1)
    ring = np.pi * ((TUBE_MM + 3) ** 2 - TUBE_MM**2)
    assert area["AortaWall cut"] == pytest.approx(2 * ring, rel=0.15)
    length = 2 * HALF_MM[2] - SPACING[2]
    assert area["AortaWall outside"] == pytest.approx(2 * np.pi * (TUBE_MM + 3) * length, rel=0.05)
    only_ra = with_cut_ends(before, mesh.points_mm, parts.names, ["RA"], view)
    assert "Aorta cut" not in [interface.name for interface in only_ra]
