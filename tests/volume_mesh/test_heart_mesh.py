"""Hearts as regions: in their place, whole, and with edges short enough."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.shapes import BALL_RADIUS_MM, ball_in_shell_distances, grid_affine, voxelized

from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.volume_mesh.cost import Cost, expected_cost
from vecsetx.volume_mesh.heart_mesh import mesh_heart
from vecsetx.volume_mesh.mesh_quality import measure_quality
from vecsetx.volume_mesh.parts import Parts
from vecsetx.volume_mesh.pieces import piece_volumes_ml, without_loose_walls
from vecsetx.volume_mesh.quality import volumes_mm3

SHAPE = (40, 44, 36)


def rod_and_ball(points_mm: np.ndarray) -> np.ndarray:
    """A thin rod beside a ball: no turn of 180° leaves them where they are."""
    at = points_mm - [30.0, -20, 10]
    ball = np.linalg.norm(at - [0, 6, 0], axis=-1) - 12
    rod = np.maximum(np.linalg.norm(at[..., :2] - [9, -12], axis=-1) - 1.6, np.abs(at[..., 2]) - 15)
    return np.stack([ball, rod], axis=-1)


def geometry(distances: object, turn: Rotation, flips: str = "") -> Geometry:
    affine = grid_affine(SHAPE, (1.0, 1.0, 1.2), turn, flips)
    return Geometry.of_label_map(voxelized(distances, SHAPE, affine), 2)


def both(heart: Geometry) -> Parts:
    return Parts(heart, ("LV", "Aorta"), ("LV", "Aorta"))


@pytest.mark.parametrize("flips", ["", "j"])
def test_tetrahedra_lie_where_the_label_map_has_their_structure(flips: str) -> None:
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)
    heart = geometry(rod_and_ball, turn, flips)
    mesh, halved = mesh_heart(both(heart), {"LV": 2.0, "Aorta": 1.0})
    assert not halved
    centers = mesh.points_mm[mesh.tetrahedra].mean(axis=1)
    volumes = volumes_mm3(mesh.points_mm, mesh.tetrahedra)
    agrees = heart.label_map.at(centers) == mesh.region
    assert np.average(agrees, weights=volumes) > 0.95  # the rest are within a voxel of a surface
    true = rod_and_ball(centers)
    assert (true[np.arange(len(centers)), mesh.region - 1] < 0.8).all()


def test_a_rod_thinner_than_its_edges_gets_shorter_ones() -> None:
    heart = geometry(rod_and_ball, Rotation.identity())
    mesh, halved = mesh_heart(both(heart), {"LV": 4.0, "Aorta": 4.0})
    assert list(halved) == ["Aorta"]
    assert halved["Aorta"] in (1.0, 2.0)
    assert piece_volumes_ml(mesh, 2).sum() == pytest.approx(heart.volumes_ml()[1], rel=0.05)
    with pytest.raises(InputError, match=r"too thin .* Aorta \(4 mm\); .* --edge-mm 4,Aorta=2, or"):
        mesh_heart(both(heart), {"LV": 4.0, "Aorta": 4.0}, strict=True)
    with pytest.raises(InputError, match=r"too thin .*: Aorta \(5 mm\)"):
        mesh_heart(both(heart), {"LV": 4.0, "Aorta": 20.0})


def test_quality_is_measured() -> None:
    heart = geometry(ball_in_shell_distances, Rotation.identity())
    parts = Parts(heart, ("Myocardium", "LV"), ("LV",))
    mesh, _ = mesh_heart(parts, {"LV": 2.0})
    of_input = parts.of_input(heart.volumes_ml()), parts.of_input(heart.areas_mm2())
    field = parts.distances()
    quality = measure_quality(mesh, ("LV",), field, *of_input, 2.0)
    assert quality.missed == ()
    assert sum(quality.histogram) == quality.tetrahedra == len(mesh.tetrahedra)
    ball_ml = 4 / 3 * np.pi * BALL_RADIUS_MM**3 / 1000
    assert quality.regions["LV"]["volume_ml"] == pytest.approx(ball_ml, rel=0.01)
    assert 1.5 < quality.regions["LV"]["mean_edge_mm"] < 3
    assert type(quality).from_dict(quality.to_dict()) == quality
    # Walls that are pushed in are noticed, and so are tetrahedra that are turned inside out.
    walls = mesh.on_interfaces()
    center = np.array([30.0, -20, 10])
    mesh.points_mm[walls] += 0.2 * (center - mesh.points_mm[walls]) / BALL_RADIUS_MM
    told = measure_quality(mesh, ("LV",), field, *of_input, 2.0)
    assert told.numbers["interface_mean_mm"] == pytest.approx(0.2, abs=0.02)
    assert any("interface_mean_mm is 0.2" in each for each in told.missed)
    assert any("LV's volume is off by -" in each for each in told.missed)
    mesh.tetrahedra[0] = mesh.tetrahedra[0, [1, 0, 2, 3]]
    told = measure_quality(mesh, ("LV",), field, *of_input, 2.0)
    assert any("least_scaled_jacobian is -" in each for each in told.missed)


@pytest.mark.parametrize("edge_mm", [1.5, 3.0])
def test_the_cost_is_foretold(edge_mm: float) -> None:
    heart = geometry(ball_in_shell_distances, Rotation.identity())
    parts = Parts(heart, ("Myocardium", "LV"), ("Myocardium", "LV"))
    edges_mm = {"Myocardium": edge_mm, "LV": edge_mm}
    mesh, halved = mesh_heart(parts, edges_mm)
    assert not halved
    assert expected_cost(parts, edges_mm).tetrahedra == pytest.approx(len(mesh.tetrahedra), rel=0.2)


def test_a_cost_in_words() -> None:
    assert str(Cost(4.4e6)) == "about 4.4 million tetrahedra, 3.7 GB, 5 min"
    assert str(Cost(7e4)) == "about 0.07 million tetrahedra, 0.059 GB, less than a minute"


def half_in_view(points_mm: np.ndarray) -> np.ndarray:
    """A ball of 10 mm that the second structure covers on one side, and that the scan cuts."""
    at = points_mm - [30.0, -20, 28]
    ball = np.linalg.norm(at, axis=-1) - 10
    cover = np.maximum(np.maximum(ball - 5, -ball), 4 - at[..., 0])
    return np.stack([ball, cover], axis=-1)


def test_a_wall_lies_around_its_structure_outside_of_all_others_and_within_the_scan() -> None:
    heart = geometry(half_in_view, Rotation.identity())
    assert heart.cut.all()
    parts = Parts(heart, ("RV", "RA"), ("RV",), {"RV": 3.0})
    assert parts.names == ("RV", "RVWall")
    mesh, halved = mesh_heart(parts, {"RV": 1.5, "RVWall": 1.5})
    assert not halved
    wall = mesh.of_region(2)
    centers = mesh.points_mm[wall].mean(axis=1)
    volumes = volumes_mm3(mesh.points_mm, wall)
    # Where it is.
    true = half_in_view(centers)
    assert (true[:, 0] > -0.7).all()
    assert (true[:, 0] < 3.7).all()
    assert (true[:, 1] > -0.8).all()
    top_mm = heart.label_map.to_mm(np.array([0, 0, SHAPE[2] - 1.0]))[2]  # half a voxel inside
    assert centers[:, 2].max() < top_mm
    # How much it is: counted on a fine grid, up to the scan's edge.
    axes = [np.arange(low, low + 36, 0.3) for low in (12.0, -38, 10)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    found = half_in_view(grid)
    inside = (found[:, 0] > 0) & (found[:, 0] < 3) & (found[:, 1] > 0) & (grid[:, 2] < top_mm)
    assert volumes.sum() == pytest.approx(inside.sum() * 0.3**3, rel=0.04)
    quality = measure_quality(
        mesh, parts.names, parts.distances(), *2 * [np.array([1.0, np.nan])], 1.5
    )
    assert "RVWall" not in "".join(quality.missed)


def test_where_two_walls_meet_each_point_has_one() -> None:
    """Beside both structures, in a groove, too."""
    heart = geometry(rod_and_ball, Rotation.identity())
    names = ("LV", "Aorta")
    parts = Parts(heart, names, names, {"LV": 5.0, "Aorta": 4.0})
    points = np.random.default_rng(0).uniform([12, -40, -6], [48, 2, 26], (4000, 3))
    found = parts.distances()(points)
    true = rod_and_ball(points)
    depth = true - [5.0, 4.0]
    clear = np.abs(true).min(axis=1) > 1.2
    clear &= (np.abs(depth).min(axis=1) > 1.2) & (np.abs(depth[:, 0] - depth[:, 1]) > 2.4)
    expected = np.select(
        [true[:, 0] < 0, true[:, 1] < 0, depth.min(axis=1) > 0],
        [0, 1, -1],
        2 + depth.argmin(axis=1),
    )
    region = np.where(found.min(axis=1) < 0, found.argmin(axis=1), -1)
    assert (region == expected)[clear].all()
    assert set(expected[clear].tolist()) == {-1, 0, 1, 2, 3}
    assert ((found < 0).sum(axis=1) <= 1)[clear].all()
    # Walls stay where they are if their edges are far shorter than they are thick.
    assert ((parts.distances(0.5)(points) < 0) == (found < 0)).all()


def test_what_of_a_wall_lies_behind_another_structure_alone_is_left_out() -> None:
    def ball_before_slab(points_mm: np.ndarray) -> np.ndarray:
        at = points_mm - [20.0, 20, 16]
        ball = np.linalg.norm(at, axis=-1) - 10
        return np.stack([ball, np.abs(at[..., 0] - 11.5) - 1.25], axis=-1)  # through the whole scan

    heart = Geometry.of_label_map(voxelized(ball_before_slab, SHAPE, np.eye(4)), 2)
    parts = Parts(heart, ("LA", "PV"), ("LA",), {"LA": 6.0})
    whole, _ = mesh_heart(parts, {"LA": 2.0, "LAWall": 2.0})
    loose_ml, kept_ml = sorted(piece_volumes_ml(whole, 2))
    # A cap of a ball of 16 mm, beyond 12.75 mm from its centre.
    assert loose_ml == pytest.approx(np.pi * 3.25**2 * (16 - 3.25 / 3) / 1000, rel=0.1)
    mesh, lost_ml = without_loose_walls(whole, 1)
    assert lost_ml == {2: pytest.approx(loose_ml)}
    assert piece_volumes_ml(mesh, 2).tolist() == [pytest.approx(kept_ml)]
    assert piece_volumes_ml(mesh, 1).tolist() == piece_volumes_ml(whole, 1).tolist()
    assert len(np.unique(mesh.tetrahedra)) == len(mesh.points_mm) == len(mesh.around)
    assert (mesh.points_mm[:, 0] < 20 + 11.5).all()  # the kept points are those of kept tetrahedra
    assert without_loose_walls(mesh, 1) == (mesh, {})
