"""Hearts as regions: in their place, whole, and with edges short enough."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.shapes import BALL_RADIUS_MM, ball_in_shell_distances, grid_affine, voxelized

from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.volume_mesh.cost import expected_tetrahedra
from vecsetx.volume_mesh.heart_regions import field_of, heart_regions, mesh_heart
from vecsetx.volume_mesh.mesh_quality import measure_quality
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


@pytest.mark.parametrize("flips", ["", "j"])
def test_tetrahedra_lie_where_the_label_map_has_their_structure(flips: str) -> None:
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)
    heart = geometry(rod_and_ball, turn, flips)
    mesh, halved = mesh_heart(heart, ("LV", "Aorta"), {"LV": 2.0, "Aorta": 1.0})
    assert not halved
    centers = mesh.points_mm[mesh.tetrahedra].mean(axis=1)
    volumes = volumes_mm3(mesh.points_mm, mesh.tetrahedra)
    agrees = heart.label_map.at(centers) == mesh.region
    assert np.average(agrees, weights=volumes) > 0.95  # the rest are within a voxel of a surface
    true = rod_and_ball(centers)
    assert (true[np.arange(len(centers)), mesh.region - 1] < 0.8).all()


def test_a_rod_thinner_than_its_edges_gets_shorter_ones() -> None:
    heart = geometry(rod_and_ball, Rotation.identity())
    mesh, halved = mesh_heart(heart, ("LV", "Aorta"), {"LV": 4.0, "Aorta": 4.0})
    assert list(halved) == ["Aorta"]
    assert halved["Aorta"] in (1.0, 2.0)
    assert mesh.volume_ml(2) == pytest.approx(heart.volumes_ml()[1], rel=0.05)
    with pytest.raises(InputError, match=r"too thin .* Aorta \(4 mm\); .* --edge-mm Aorta=2, or"):
        mesh_heart(heart, ("LV", "Aorta"), {"LV": 4.0, "Aorta": 4.0}, strict=True)
    with pytest.raises(InputError, match=r"too thin .*: Aorta \(5 mm\)"):
        mesh_heart(heart, ("LV", "Aorta"), {"LV": 4.0, "Aorta": 20.0})


def test_quality_is_measured() -> None:
    heart = geometry(ball_in_shell_distances, Rotation.identity())
    heart = heart.restricted(np.array([False, True]))
    mesh, _ = mesh_heart(heart, ("LV",), {"LV": 2.0})
    of_input = heart.volumes_ml(), heart.areas_mm2()
    quality = measure_quality(mesh, ("LV",), field_of(heart), *of_input, 2.0)
    assert quality.missed == ()
    assert sum(quality.histogram) == quality.tetrahedra == len(mesh.tetrahedra)
    ball_ml = 4 / 3 * np.pi * BALL_RADIUS_MM**3 / 1000
    assert quality.regions["LV"]["volume_ml"] == pytest.approx(ball_ml, rel=0.01)
    assert 1.5 < quality.regions["LV"]["mean_edge_mm"] < 3
    assert type(quality).from_dict(quality.to_dict()) == quality
    # Walls that are pushed in are noticed, and so are tetrahedra that are turned inside out.
    walls = mesh.on_walls()
    center = np.array([30.0, -20, 10])
    mesh.points_mm[walls] += 0.2 * (center - mesh.points_mm[walls]) / BALL_RADIUS_MM
    told = measure_quality(mesh, ("LV",), field_of(heart), *of_input, 2.0)
    assert told.numbers["wall_mean_mm"] == pytest.approx(0.2, abs=0.02)
    assert any("wall_mean_mm is 0.2" in each for each in told.missed)
    assert any("LV's volume is off by -" in each for each in told.missed)
    mesh.tetrahedra[0] = mesh.tetrahedra[0, [1, 0, 2, 3]]
    told = measure_quality(mesh, ("LV",), field_of(heart), *of_input, 2.0)
    assert any("least_scaled_jacobian is -" in each for each in told.missed)


@pytest.mark.parametrize("edge_mm", [1.5, 3.0])
def test_the_cost_is_foretold(edge_mm: float) -> None:
    heart = geometry(ball_in_shell_distances, Rotation.identity())
    edges = np.full(2, edge_mm)
    expected = expected_tetrahedra(heart_regions(heart, ("Myocardium", "LV"), edges), edges)
    mesh, _ = mesh_heart(heart, ("Myocardium", "LV"), {"Myocardium": edge_mm, "LV": edge_mm})
    assert 0.6 < len(mesh.tetrahedra) / expected < 1.6
