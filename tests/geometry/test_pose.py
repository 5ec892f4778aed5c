"""The rotation that turns a heart as a reference heart lies."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.frame import UPRIGHT
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.pose import POINTS, ReferenceHeart, centroid_pose, poses
from vecsetx.sampling.sampler import observe

NAMES = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA", "LAA", "Coronary", "PV")
ROTATIONS = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))


@cache
def heart(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on the surfaces of a phantom, and their structures."""
    label_map = PhantomHeart.random(np.random.default_rng(seed)).voxelize(56, 2.4)
    points = observe(Geometry.of_label_map(label_map, len(NAMES)), 6000, 80.0, seed)
    return points.points_mm.astype(np.float64), points.structure


@cache
def reference() -> ReferenceHeart:
    points_mm, structure = heart(0)
    return ReferenceHeart(
        {name: points_mm[structure == k][:POINTS] for k, name in enumerate(NAMES)}
    )


def angle_deg(found, wanted: Rotation) -> float:
    return float(np.degrees((Rotation.from_matrix(found) * wanted.inv()).magnitude()))


def found(points_mm, structure, kept=NAMES, cut=None):
    rows = np.isin(structure, [NAMES.index(name) for name in kept])
    return poses(reference(), points_mm[rows], structure[rows], NAMES, cut)


@given(ROTATIONS, st.floats(0.6, 1.5), st.floats(-300, 300))
def test_a_turned_moved_and_scaled_heart_is_turned_back_exactly(turn, scale, shift_mm):
    points_mm, structure = heart(0)
    (pose,) = found(scale * turn.apply(points_mm) + shift_mm, structure)
    assert pose.by == "centroids"
    assert angle_deg(pose.rotation, turn.inv()) < 0.5  # the reference has a part of the points
    assert np.linalg.det(pose.rotation) == pytest.approx(1)


@given(ROTATIONS)
def test_another_heart_gets_the_same_pose_however_it_lies(turn):
    points_mm, structure = heart(1)
    (upright,) = found(points_mm, structure)
    (turned,) = found(turn.apply(points_mm), structure)
    assert angle_deg(turned.rotation, Rotation.from_matrix(upright.rotation) * turn.inv()) < 1e-6


def test_vessels_have_no_say():
    points_mm, structure = heart(1)
    vessels = structure >= NAMES.index("Aorta")
    moved = points_mm + 45 * vessels[:, None]
    assert found(moved, structure) == found(points_mm, structure)


def test_a_mirrored_heart_is_turned_and_never_mirrored():
    points_mm, structure = heart(1)
    (pose,) = found(points_mm * [-1, 1, 1], structure)
    assert np.linalg.det(pose.rotation) == pytest.approx(1)


@pytest.mark.parametrize("turn", list(Rotation.random(2, random_state=0)), ids=["one", "another"])
@pytest.mark.parametrize("kept", [("LV", "RV"), ("LA", "RA"), ("Myocardium", "LV", "RV")], ids=str)
def test_surfaces_fix_the_pose_where_centroids_do_not(kept, turn):
    points_mm, structure = heart(0)
    best = found(turn.apply(points_mm), structure, kept)[0]
    assert best.by == "surfaces"
    assert angle_deg(best.rotation, turn.inv()) < 2


@pytest.mark.parametrize("turn", list(Rotation.random(2, random_state=0)), ids=["one", "another"])
def test_cut_chambers_are_matched_by_what_is_left_of_them(turn):
    points_mm, structure = heart(0)
    left = points_mm[:, 2] < np.median(points_mm[structure == NAMES.index("LV"), 2])
    cut = np.array([name in ("Myocardium", "LV", "RV", "LA", "RA") for name in NAMES])
    best = found(turn.apply(points_mm[left]), structure[left], NAMES, cut)[0]
    assert best.by == "surfaces"
    assert angle_deg(best.rotation, turn.inv()) < 2


def test_what_has_nothing_in_common_with_the_reference_has_no_pose():
    points_mm, structure = heart(0)
    only = ReferenceHeart({"LAA": reference().points_mm["LAA"]})
    rows = structure == NAMES.index("LV")
    assert poses(only, points_mm[rows], structure[rows], NAMES) == []


def test_centroids_in_a_line_fix_no_pose():
    centers = {"LV": [0.0, 0.0, 0.0], "RV": [0.0, 0.0, 60.0], "LA": [1.0, 0.0, 120.0]}
    centroids_mm = {name: np.array(center) for name, center in centers.items()}
    assert centroid_pose(reference(), centroids_mm) is None
    assert centroid_pose(reference(), reference().centroids_mm).rotation == UPRIGHT
