"""A model is shown again what it made of a heart."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.analytic_fields import AnalyticField, ball, grid_about
from support.runs import untrained

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.evaluate import EvaluateOptions, evaluate
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import edge_distances_mm
from vecsetx.inference.encode import EncodeOptions, encode_heart, encode_observation
from vecsetx.inference.recycling import recycle
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe

NAMES = ("LV", "RV", "LA")
LV, RV, LA = range(3)
MIDDLES_MM = np.array([[0, 0, 0], [0, 28, -14], [-24, -4, -22]])
RADII_MM = np.array([20, 7, 8])
KNOWN = {
    name: ball(tuple(middle), radius)
    for name, middle, radius in zip(NAMES, MIDDLES_MM.tolist(), RADII_MM.tolist(), strict=True)
}
COUNT = 512


@pytest.fixture(autouse=True)
def predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a model is shown, it knows where everything is."""
    field = AnalyticField(KNOWN)
    monkeypatch.setattr(HeartField, "distances_mm", lambda _, points: field.distances_mm(points))


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    return untrained(NAMES)


def scan(above_mm: float) -> LabelMap:
    """The balls on a grid that ends so far above the middle of the LV, which it may cut."""
    whole = grid_about((0, 0, 0), np.eye(3), 45)
    i, j, _ = whole.shape
    return rasterize(AnalyticField(KNOWN), Grid((i, j, int(45 + above_mm)), whole.affine))


@pytest.fixture(scope="module")
def shown() -> Geometry:
    """An LV that the scan cuts, a whole RV, and no LA."""
    geometry = Geometry.of_label_map(scan(6).without([LA + 1]), 3)
    assert geometry.cut.tolist() == [True, False, False]
    return geometry


def beside(observation: Observation, trained: TrainedModel, shown: Geometry | Observation):
    """What is shown again, and which of its points are new."""
    field = trained.encode(observation)
    again = recycle(observation, shown, field, trained, seed=1)
    before = {tuple(row) for row in np.c_[observation.points_mm, observation.structure].tolist()}
    rows = np.c_[again.points_mm, again.structure].tolist()
    return again, np.array([tuple(row) not in before for row in rows])


def off_mm(observation: Observation) -> np.ndarray:
    """How far each point is from the surface of its structure."""
    away = observation.points_mm - MIDDLES_MM[observation.structure]
    return np.abs(np.linalg.norm(away, axis=1) - RADII_MM[observation.structure])


def test_points_on_what_was_inferred_stand_beside_those_on_what_is_observed(
    trained: TrainedModel, shown: Geometry
) -> None:
    observation = observe(shown, COUNT, trained.mm_per_unit, seed=0)
    again, new = beside(observation, trained, shown)
    assert len(again.points_mm) == COUNT
    structure, points_mm = again.structure[new], again.points_mm[new]
    beyond = edge_distances_mm(points_mm.astype(float), shown.label_map) <= 0
    assert ((structure == LA) | ((structure == LV) & beyond)).all()
    assert (structure == LV).sum() > 20
    assert off_mm(again).max() < 0.5
    assert again.normals is not None
    outwards = (points_mm - MIDDLES_MM[structure]) / RADII_MM[structure][:, None]
    assert (outwards * again.normals[new]).sum(axis=1).min() > 0.95

    whole = Geometry.of_label_map(scan(45), 3)
    if_observed = observe(whole, COUNT, trained.mm_per_unit, seed=0)
    for k in range(3):
        usual = (if_observed.structure == k).sum()
        assert (again.structure == k).sum() == pytest.approx(usual, rel=0.2)
    np.testing.assert_allclose(
        again.frame.to_unit(MIDDLES_MM.astype(float)),
        if_observed.frame.to_unit(MIDDLES_MM.astype(float)),
        atol=0.01,
    )
    assert new[: COUNT // 2].mean() == pytest.approx(new.mean(), abs=0.1)  # in random order


def test_labelled_points_all_stay(trained: TrainedModel, shown: Geometry) -> None:
    observation = replace(observe(shown, COUNT, trained.mm_per_unit, seed=0), normals=None)
    again, new = beside(observation, trained, observation)
    assert (~new).sum() == COUNT
    assert (again.structure[new] == LA).all()
    assert new.sum() > 50
    assert off_mm(again).max() < 0.5
    assert again.normals is None
    options = EncodeOptions(points=COUNT, latents=16, recycle=1)
    recycled = encode_observation(observation, trained, options)
    assert not np.allclose(
        recycled.frame.to_unit(MIDDLES_MM), observation.frame.to_unit(MIDDLES_MM)
    )


def test_where_nothing_is_inferred_nothing_changes(trained: TrainedModel) -> None:
    whole = Geometry.of_label_map(scan(45), 3)
    observation = observe(whole, COUNT, trained.mm_per_unit, seed=0)
    field = trained.encode(observation)
    assert recycle(observation, whole, field, trained, seed=0) is observation


def test_where_nothing_is_found_nothing_changes(
    trained: TrainedModel, shown: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = np.full(len(NAMES), 8, np.float32)
    monkeypatch.setattr(
        HeartField, "distances_mm", lambda _, points: np.tile(far, (len(points), 1))
    )
    found = encode_heart(shown, trained, EncodeOptions(points=COUNT, latents=16, recycle=1))
    observation = observe(shown, COUNT, trained.mm_per_unit, seed=0)
    assert found.frame == found.domain == observation.frame
    only_points = replace(observation, normals=None)
    field = trained.encode(only_points)
    assert recycle(only_points, only_points, field, trained, seed=0) is only_points


def test_a_heart_is_recycled_as_often_as_asked(
    trained: TrainedModel, shown: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed gives the same again."""
    made = []
    encode = TrainedModel.encode

    def noted(self: TrainedModel, observation: Observation, latents, anchors=None):
        made.append(observation)
        return encode(self, observation, latents, anchors)

    monkeypatch.setattr(TrainedModel, "encode", noted)
    fields = [
        encode_heart(shown, trained, EncodeOptions(points=COUNT, latents=16, recycle=times))
        for times in (0, 2, 2)
    ]
    assert len(made) == 1 + 3 + 3
    latents = [field.latent_set.latents.numpy() for field in fields]
    np.testing.assert_array_equal(latents[1], latents[2])
    assert not np.array_equal(latents[0], latents[1])
    np.testing.assert_array_equal(made[0].points_mm, made[1].points_mm)
    for first, second, third in ((1, 2, 3), (4, 5, 6)):
        assert not (made[first].structure == LA).any()
        assert (made[second].structure == LA).sum() > 50
        assert (made[third].structure == LA).sum() > 50
        assert max(off_mm(made[second]).max(), off_mm(made[third]).max()) < 0.5


def test_a_reconstruction_says_so_and_has_no_draws(trained: TrainedModel, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path / "model")
    path = tmp_path / "scan.nii.gz"
    write_label_map(scan(45).to_label_set(label_set("default"), NAMES), path)
    recycled = EncodeOptions(hide=("LA",), recycle=1)
    options = ReconstructOptions(recycled, resolution=24)
    assert reconstruct(tmp_path / "model", [path], tmp_path / "r", options) == {}
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["provenance"]["recycled"] == 1
    with pytest.raises(InputError, match="--ensemble 8 and --recycle 1 exclude each other"):
        reconstruct(tmp_path / "model", [path], tmp_path / "s", replace(options, ensemble=8))
    scored = EvaluateOptions(recycled, ensemble=8)
    with pytest.raises(InputError, match="--ensemble 8 and --recycle 1 exclude each other"):
        evaluate(tmp_path / "model", [path], tmp_path / "s", scored)
    assert not (tmp_path / "s").exists()
