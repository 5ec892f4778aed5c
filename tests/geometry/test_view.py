"""What a scan shows, and what is known of a structure that its edge cuts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from support.shapes import CENTRE_MM, grid_affine, voxelized

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import EDGE_VOXELS, cut_structures, edge_distances_mm, known_mm
from vecsetx.sampling.point_sampling import surface_points
from vecsetx.sampling.sampler import SamplingSpec, draw_samples

RADIUS_MM = 10.0


def tube_and_ball(points_mm: np.ndarray) -> np.ndarray:
    """True distances of a tube along z without ends, and of a ball beside it."""
    tube = np.linalg.norm(points_mm[..., :2] - CENTRE_MM[:2] + [12, 0], axis=-1) - RADIUS_MM
    ball = np.linalg.norm(points_mm - CENTRE_MM - [14, 0, 0], axis=-1) - RADIUS_MM
    return np.stack([tube, ball], axis=-1)


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    shape = (64, 48, 40)
    affine = grid_affine(shape, (1.0, 1.0, 1.0), Rotation.identity(), "")
    return Geometry.of_label_map(voxelized(tube_and_ball, shape, affine), 2)


def test_only_what_touches_the_edge_is_cut(geometry: Geometry) -> None:
    assert geometry.cut.tolist() == [True, False]
    for axis in range(3):
        for end in (0, -1):
            labels = np.zeros((5, 6, 7), np.uint8)
            np.moveaxis(labels, axis, 0)[end, 2, 2] = 2
            assert cut_structures(LabelMap(labels, np.eye(4)), 2).tolist() == [False, True]


@settings(max_examples=30)
@given(
    spacing=st.tuples(*[st.floats(0.4, 3)] * 3),
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    flips=st.sampled_from(["", "i", "jk", "ijk"]),
    seed=st.integers(0, 100),
)
def test_distance_to_the_edge_is_that_to_the_nearest_face(spacing, angles, flips, seed) -> None:
    shape = (20, 30, 25)
    turn = Rotation.from_euler("xyz", angles, degrees=True)
    label_map = LabelMap(np.ones(shape, np.uint8), grid_affine(shape, spacing, turn, flips))
    low, high = np.full(3, EDGE_VOXELS - 0.5), np.array(shape) - 0.5 - EDGE_VOXELS
    generator = np.random.default_rng(seed)
    indices = generator.uniform(low, high, (50, 3))
    found = edge_distances_mm(label_map.to_mm(indices), label_map)
    # Brute force: the distance to a dense set of points on the six faces.
    faces = generator.uniform(low, high, (60_000, 3))
    axis, end = generator.integers(3, size=60_000), generator.integers(2, size=60_000)
    faces[np.arange(60_000), axis] = np.where(end, high[axis], low[axis])
    nearest, _ = KDTree(label_map.to_mm(faces)).query(label_map.to_mm(indices))
    assert (found <= nearest + 1e-4).all()
    assert (nearest - found).max() < 1.2 * max(spacing)
    outside = label_map.to_mm(np.array([low - 0.1, high + 2.0]))
    assert (edge_distances_mm(outside, label_map) <= 0).all()


def test_the_wall_where_the_scan_ends_is_not_drawn(geometry: Geometry) -> None:
    """Nothing that a model is shown lies on the caps of the tube, and the ball is whole."""
    points, structure, normals = surface_points(geometry, 20_000, 0.5, np.random.default_rng(0))
    on_tube = structure == 0
    assert np.abs(normals[on_tube, 2]).max() < 0.2
    assert np.abs(tube_and_ball(points[on_tube])[:, 0]).max() < 0.5
    assert np.ptp(points[~on_tube][:, 2]) == pytest.approx(2 * RADIUS_MM, abs=0.5)


def test_trusted_distances_are_those_of_the_tube_that_goes_on(geometry: Geometry) -> None:
    frame = Frame.around(geometry.vertices_mm())
    spec = SamplingSpec(4000, 4000, 4000)
    groups = draw_samples(geometry, frame, spec, np.random.default_rng(0))
    shares = []
    for group in groups:
        true = np.clip(tube_and_ball(group.points_mm), -16, 16)
        known = known_mm(group.edge_mm, geometry.cut)
        trusted = np.abs(group.distances_mm) <= known
        assert np.abs(group.distances_mm - true)[trusted].max() < 0.75
        # A bound where it is not the value, and a sign that holds wherever the scan shows it.
        beyond = (known > 0) & ~trusted
        assert (np.abs(true)[beyond] >= known[beyond] - 0.75).all()
        clear = (known > 0) & (np.abs(true) > 0.75)
        np.testing.assert_array_equal((group.distances_mm < 0)[clear], (true < 0)[clear])
        assert trusted[:, 1].all()
        shares.append(trusted[:, 0].mean())
    assert 0.3 < min(shares) < 0.98
