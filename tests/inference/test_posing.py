"""A heart is turned as the model's training hearts lie, and its reconstruction is turned back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.frame import UPRIGHT, Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import source_of
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.pose import Pose, poses
from vecsetx.inference import posing
from vecsetx.inference.encode import EncodeOptions, encode_heart, encode_observation
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.posing import pose_remarks, rotation_of
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.sampler import observe

TURN = Rotation.from_euler("xyz", [170, 25, -100], degrees=True)


@pytest.fixture(scope="module")
def trained(trained_run: Path) -> TrainedModel:
    return TrainedModel.from_pretrained(trained_run)


@pytest.fixture(scope="module")
def label_map(dataset: DataSet) -> LabelMap:
    return source_of(dataset, dataset.hearts[0]).segmentation(dataset.structures).label_map


def geometry(label_map: LabelMap, turn: Rotation | None = None) -> Geometry:
    """The heart, turned about the scanner's centre."""
    affine = np.eye(4)
    if turn is not None:
        affine[:3, :3] = turn.as_matrix()
    return Geometry.of_label_map(replace(label_map, affine=affine @ label_map.affine), 10)


def points_around(upright: Geometry) -> np.ndarray:
    low, high = upright.vertices_mm().min(axis=0), upright.vertices_mm().max(axis=0)
    return np.random.default_rng(0).uniform(low, high, (2000, 3))


@pytest.mark.parametrize("hide", [[], ["RA", "LA", "Myocardium"]], ids=["whole", "in part"])
def test_a_turned_heart_has_the_same_reconstruction_turned(trained, label_map, hide):
    options = EncodeOptions(refine=0)
    hidden = np.isin(trained.structures, hide)
    upright = geometry(label_map).without(hidden)
    turned = geometry(label_map, TURN).without(hidden)
    points_mm = points_around(upright)
    wanted = encode_heart(upright, trained, options).distances_mm(points_mm)
    field = encode_heart(turned, trained, options)
    found = field.distances_mm(TURN.apply(points_mm))
    assert np.abs(found - wanted).mean() < 0.05  # the points' coordinates are rounded
    # Refinement draws other points, but what it refines lies alike.
    refined = encode_heart(turned, trained, replace(options, refine=10))
    of_same = encode_heart(upright, trained, replace(options, refine=10))
    found = refined.distances_mm(TURN.apply(points_mm)) - of_same.distances_mm(points_mm)
    assert np.abs(found).mean() < 0.5
    as_it_lies = encode_heart(turned, trained, replace(options, pose="scan"))
    assert as_it_lies.frame.rotation == UPRIGHT
    assert np.abs(as_it_lies.distances_mm(TURN.apply(points_mm)) - wanted).mean() > 1


def test_labelled_points_and_ensembles_are_turned_too(trained, label_map):
    upright, turned = (
        observe(geometry(label_map, turn), 2000, trained.mm_per_unit, 0) for turn in (None, TURN)
    )
    points_mm = points_around(geometry(label_map))
    wanted = encode_observation(upright, trained, EncodeOptions())
    found = encode_observation(turned, trained, EncodeOptions())
    difference_mm = found.distances_mm(TURN.apply(points_mm)) - wanted.distances_mm(points_mm)
    assert np.abs(difference_mm).mean() < 0.05
    for domain in (None, found.domain):
        (member,) = encode_ensemble(turned, trained, 1, 0, domain=domain).members
        assert member.frame.rotation == found.frame.rotation


def test_of_several_poses_the_one_counts_that_the_model_reconstructs_best(
    trained, label_map, monkeypatch: pytest.MonkeyPatch
):
    whole = geometry(label_map)
    right = rotation_of(whole, trained, 0)

    def several(*given: object) -> list[Pose]:
        (best,) = poses(*given)
        matrix = Rotation.from_euler("z", 180, degrees=True).as_matrix() @ np.array(best.rotation)
        return [Pose(tuple(map(tuple, matrix.tolist())), 0.0, "surfaces"), best]

    monkeypatch.setattr(posing, "poses", several)
    assert rotation_of(whole, trained, 0) == right


def test_a_large_turn_is_remarked_where_the_chambers_fix_it():
    turned, tilted = (
        Frame((0.0, 0.0, 0.0), 80.0, tuple(map(tuple, turn.as_matrix().tolist())))
        for turn in (TURN, Rotation.from_euler("x", 50, degrees=True))
    )
    (remark,) = pose_remarks(turned, ["LV", "RV", "LA"])
    assert remark.startswith(f"lies turned by {np.degrees(TURN.magnitude()):.0f}° from the model's")
    assert pose_remarks(tilted, ["LV", "RV", "LA"]) == ()
    assert pose_remarks(turned, ["LV", "Myocardium"]) == ()


def test_a_model_without_a_reference_turns_nothing(trained, label_map):
    turned = geometry(label_map, TURN)
    assert rotation_of(turned, replace(trained, pose=None), 0) == UPRIGHT
    assert rotation_of(turned, trained, 0) != UPRIGHT
