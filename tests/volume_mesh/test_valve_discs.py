"""Valves as discs: where they are, what they take, and what is left."""

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.loops import loops_around
from support.shapes import CENTRE_MM, grid_affine, voxelized

from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.measures.triangles import Triangles
from vecsetx.volume_mesh.edge_lengths import edges_within_mm
from vecsetx.volume_mesh.heart_mesh import mesh_heart
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.mesh_quality import measure_quality
from vecsetx.volume_mesh.parts import Parts
from vecsetx.volume_mesh.pieces import piece_volumes_ml
from vecsetx.volume_mesh.rings import valve_rings
from vecsetx.volume_mesh.valves import Disc, check_thickness, find_discs

# Two blocks of unit cubes: the second one is narrower, and stands on the first.
LOW, HIGH, NARROW, TALL = 8, 6, 4, 7


def block(half: int, low: int, high: int) -> np.ndarray:
    """Outer squares of a block from −half to half and low to high: corners [n, 4, 3]."""
    squares = []
    for axis, ends in ((0, (-half, half)), (1, (-half, half)), (2, (low, high))):
        sides = [range(low, high) if other == 2 else range(-half, half) for other in range(3)]
        sides[axis] = [0]
        cells = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 3)
        u, v = np.delete(np.eye(3, dtype=int), axis, axis=0)
        for end, corners in zip(ends, ((0 * u, v, u + v, u), (0 * u, u, u + v, v)), strict=True):
            at = cells.copy()
            at[:, axis] = end
            squares.append(np.stack([at + corner for corner in corners], axis=1))
    return np.concatenate(squares)


def surface(squares: np.ndarray) -> Triangles:
    points, number = np.unique(squares.reshape(-1, 3), axis=0, return_inverse=True)
    number = number.reshape(-1, 4)
    faces = np.concatenate([number[:, [0, 1, 2]], number[:, [0, 2, 3]]])
    return Triangles(points.astype(float), faces)


def box_mm(points: np.ndarray, half: float, low: float, high: float) -> np.ndarray:
    """Exact signed distances to such a block."""
    center, size = np.array([0, 0, (low + high) / 2]), np.array([half, half, (high - low) / 2])
    off = np.abs(points - center) - size
    outside = np.linalg.norm(np.maximum(off, 0), axis=1)
    return (outside + np.minimum(off.max(axis=1), 0)).astype(np.float32)


@cache
def disc_of_blocks(thickness_mm: float) -> Disc:
    """The disc between the blocks; where its triangles lie says what they belong to."""
    first, second = surface(block(LOW, -HIGH, 0)), surface(block(NARROW, 0, TALL))
    on_plane = [each.centers_mm[:, 2] == 0 for each in (first, second)]
    covered = np.abs(first.centers_mm[:, :2]).max(axis=1) < NARROW
    rest = first.only(~(on_plane[0] & covered)), second.only(~on_plane[1])
    points = np.concatenate([each.vertices_mm for each in rest])
    faces = np.concatenate([rest[0].faces, rest[1].faces + len(first.vertices_mm)])
    opening = first.only(on_plane[0] & covered)
    return Disc("MitralValve", ("LA", "LV"), thickness_mm, opening, Triangles(points, faces))


@pytest.mark.parametrize("reach_mm", [np.inf, 4.0, 0.5])
def test_a_disc_has_the_points_of_both_that_are_near_where_they_meet(reach_mm: float) -> None:
    thickness = 2.0
    points = np.random.default_rng(0).uniform([-9, -9, -7], [9, 9, 8], (20_000, 3))
    points[:4000, 2] *= 0.15
    points[:500, 2] = 0  # where the structures meet
    first, second = box_mm(points, LOW, -HIGH, 0), box_mm(points, NARROW, 0, TALL)
    found = disc_of_blocks(thickness).distances(
        points, first.clip(-reach_mm, reach_mm), second.clip(-reach_mm, reach_mm)
    )
    # The opening is a square.
    aside = np.maximum(np.abs(points[:, :2]) - NARROW, 0)
    to_opening = np.hypot(np.linalg.norm(aside, axis=1), points[:, 2])
    inside = (first < 0) | (second < 0)
    inside |= (points[:, 2] == 0) & (np.abs(points[:, :2]).max(axis=1) < NARROW)
    expected = inside & (to_opening < thickness / 2)
    clear = np.abs(found) > 1e-3
    assert ((found < 0) == expected)[clear].all()
    assert expected.sum() > 500
    # Far from the rim it is a slab, through and through.
    middle = (np.abs(points[:, :2]).max(axis=1) < NARROW - thickness) & (np.abs(points[:, 2]) < 1.5)
    assert middle.sum() > 100
    assert found[middle] == pytest.approx(np.abs(points[middle, 2]) - thickness / 2, abs=1e-5)


def test_where_structures_only_come_near_each_other_is_no_disc() -> None:
    point, near = np.array([[NARROW + 3.0, 0, -0.1]]), np.array([0.5], np.float32)
    found = disc_of_blocks(2.0).distances(point, np.array([-0.1], np.float32), near)
    assert found == pytest.approx(3 - 1, abs=0.01)


def test_discs_are_found_where_structures_touch() -> None:
    lower, upper = surface(block(LOW, -HIGH, 0)), surface(block(NARROW, 0, TALL))
    away = Triangles(lower.vertices_mm + [40, 0, 0], lower.faces)
    names = ("LA", "LV", "Aorta", "RV")
    closed = [(each.vertices_mm, each.faces) for each in (lower, upper, away, away)]
    geometry = Geometry.of_surfaces(closed[:3])
    discs, lacking = find_discs(geometry, names[:3], names[:3], 2.0)
    assert [disc.name for disc in discs] == ["MitralValve"]
    assert lacking == (
        "no TricuspidValve: RA is not in the heart",
        "no AorticValve: LV and Aorta do not touch",
        "no PulmonaryValve: RV is not in the heart",
    )
    (disc,), expected = discs, disc_of_blocks(2.0)
    assert disc.sides == ("LA", "LV")
    for found, known in ((disc.opening, expected.opening), (disc.outside, expected.outside)):
        assert sorted(found.centers_mm.tolist()) == sorted(known.centers_mm.tolist())
    _, lacking = find_discs(geometry, names[:3], ("LV", "Aorta"), 2.0)
    assert lacking[0] == "no MitralValve: LA is not meshed"
    assert find_discs(geometry, names[:3], names[:3], 0.0) == ((), ())
    # An opening that is smaller than the disc is thick is none.
    assert find_discs(geometry, names[:3], names[:3], 8.1)[0] == ()


def test_thinner_than_any_mesh() -> None:
    for thickness in (0.0, 0.1, 5.0):
        check_thickness(thickness)
    with pytest.raises(InputError, match=r"--valves 0.05: a valve is at least 0.1 mm thick; 0 "):
        check_thickness(0.05)


TUBE_MM, SHAPE = 9.0, (40, 40, 52)
TURN = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)


def tube_in_wall(points_mm: np.ndarray) -> np.ndarray:
    """A tube within a wall: its lower half is the LV, its upper half the LA."""
    at = TURN.inv().apply((points_mm - CENTRE_MM).reshape(-1, 3))
    radius = np.linalg.norm(at[:, :2], axis=1)
    ends = np.abs(at[:, 2]) - 18
    tube = np.maximum(radius - TUBE_MM, ends)
    wall = np.maximum.reduce([radius - TUBE_MM - 5, TUBE_MM - radius, ends])
    halves = np.maximum(tube, at[:, 2]), np.maximum(tube, -at[:, 2])
    return np.stack([wall, *halves], axis=1).reshape(*points_mm.shape[:-1], 3)


NAMES = ("Myocardium", "LV", "LA")
THICK_MM = 2.0


@cache
def meshed() -> tuple[Parts, TetrahedralMesh]:
    affine = grid_affine(SHAPE, (1.0, 1.0, 1.0), TURN, "")
    heart = Geometry.of_label_map(voxelized(tube_in_wall, SHAPE, affine), 3)
    discs, lacking = find_discs(heart, NAMES, NAMES, THICK_MM)
    assert len(lacking) == 3
    parts = Parts(heart, NAMES, NAMES, {}, discs)
    assert parts.names == (*NAMES, "MitralValve")
    mesh, halved = mesh_heart(
        parts, dict.fromkeys(NAMES, 2.5) | {"MitralValve": edges_within_mm(1.5)}
    )
    assert not halved
    return parts, mesh


def test_a_disc_is_a_region_that_parts_the_structures() -> None:
    parts, mesh = meshed()
    disc_ml = np.pi * TUBE_MM**2 * THICK_MM / 1000
    assert piece_volumes_ml(mesh, 4).sum() == pytest.approx(disc_ml, rel=0.06)
    assert len(piece_volumes_ml(mesh, 4)) == 1
    interfaces = {each.name: each for each in named_interfaces(facets_between(mesh), parts.names)}
    assert set(interfaces) == {
        *("Myocardium, LA", "LV endocardium", "LV epicardium", "LV outside", "LA outside"),
        *("Myocardium, MitralValve", "LV, MitralValve", "LA, MitralValve"),
    }
    assert not ((mesh.around & 0b1100) == 0b1100).any()  # not even at a point
    # Each face is bounded by a closed curve on the rim, which is a band between the two.
    ring = valve_rings(list(interfaces.values()), parts.names)["mitral ring"]
    at = TURN.inv().apply(mesh.points_mm - CENTRE_MM)
    curves = []
    for side, way in (("LV", -1), ("LA", 1)):
        face = interfaces[f"{side}, MitralValve"].facets
        (curve,) = loops_around(face)
        assert np.isin(curve, ring).all()
        inner = np.setdiff1d(face, ring)
        assert at[inner, 2].mean() == pytest.approx(way * THICK_MM / 2, abs=0.05)
        curves.append(curve)
    rim = interfaces["Myocardium, MitralValve"].facets
    assert sorted(loops_around(rim)) == sorted(curves)
    assert ring.tolist() == np.unique(rim).tolist()
    assert np.linalg.norm(at[ring, :2], axis=1) == pytest.approx(TUBE_MM, abs=0.7)


def test_what_a_disc_takes_is_known() -> None:
    parts, mesh = meshed()
    taken = parts.taken_by_discs_ml(mesh)
    disc_ml = piece_volumes_ml(mesh, 4).sum()
    assert taken.sum() == pytest.approx(disc_ml)
    assert taken == pytest.approx([0, disc_ml / 2, disc_ml / 2, 0], rel=0.06)
    volumes = parts.of_input(parts.geometry.volumes_ml())
    assert np.isnan(volumes[3])
    areas = parts.of_input(parts.geometry.areas_mm2())
    field = parts.distances()
    quality = measure_quality(mesh, parts.names, field, volumes - taken, areas, 2.5)
    assert quality.missed == ()
    assert "volume_error" not in quality.regions["MitralValve"]
    # Without it, both would seem to have lost a disc's half.
    told = measure_quality(mesh, parts.names, field, volumes, areas, 2.5).missed
    assert [each.split("'")[0] for each in told] == ["LV", "LA"]


def test_regions_do_not_overlap_and_leave_nothing_out() -> None:
    parts, _ = meshed()
    points = CENTRE_MM + TURN.apply(
        np.random.default_rng(0).uniform([-14, -14, -18], [14, 14, 18], (20_000, 3))
    )
    with_disc, without = parts.distances()(points), Parts(parts.geometry, NAMES, NAMES).distances()
    own = without(points)
    assert ((with_disc < 0).sum(axis=1) <= 1).all()
    clear = (np.abs(with_disc) > 1e-3).all(axis=1) & (np.abs(own) > 1e-3).all(axis=1)
    assert ((with_disc < 0).any(axis=1) == (own < 0).any(axis=1))[clear].all()
    in_disc = with_disc[:, 3] < 0
    assert (own[in_disc, 1:].min(axis=1) < 1e-3).all()
    assert (with_disc[~in_disc].argmin(axis=1) == own[~in_disc].argmin(axis=1)).mean() > 0.999
    # The same where distances are truncated early.
    again = parts.distances(0.5)(points)
    assert ((again < 0) == (with_disc < 0)).all()


def test_a_structure_within_a_disc_is_refused() -> None:
    parts, _ = meshed()
    (disc,) = parts.discs
    thick = Disc(disc.name, disc.sides, 60.0, disc.opening, disc.outside)
    swallowed = Parts(parts.geometry, NAMES, NAMES, {}, (thick,))
    edges = dict.fromkeys((*NAMES, "MitralValve"), 5.0)
    with pytest.raises(InputError, match="nothing is left of LV, LA beside walls and valves"):
        mesh_heart(swallowed, edges)
