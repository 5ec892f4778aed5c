"""All of a completed heart is looked for, wherever it lies."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.analytic_fields import AnalyticField, Distance, ball, grid_about, half_space
from support.runs import untrained

from vecsetx.anatomy.frame import DOMAIN
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize

NAMES = ("LV", "RV", "LA")
LV, RV, LA = range(3)
NEAR = {"LV": ball((0, 0, 0), 40), "RV": ball((0, 60, 0), 15)}
HIDDEN = {
    "near": ball((0, 0, 50), 25),
    "half in": ball((0, 0, 110), 25),
    "out of sight at first, but for a tip": ball((0, 0, 120), 30),
}


def knowing(monkeypatch: pytest.MonkeyPatch, hidden: Distance, scale: float = 80.0) -> TrainedModel:
    """A model that knows where everything is, relative to the middle of LV and RV."""
    middle_mm = np.array([0, 17.5, 0])
    truth = AnalyticField({**NEAR, "LA": hidden})

    def query(self, tokens, positions, points):
        places_mm = scale * points[0].numpy().astype(float) + middle_mm
        return torch.from_numpy(truth.distances_mm(places_mm))[None] / scale

    monkeypatch.setattr(VecSetAutoEncoder, "query", query)
    return untrained(NAMES)


def scan(with_hidden: Distance | None = None) -> LabelMap:
    grid = grid_about((0, 17.5, 50), np.eye(3) * 2.0, 125)
    shapes = NEAR if with_hidden is None else {**NEAR, "LA": with_hidden}
    return rasterize(AnalyticField(shapes), grid)


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_lies_beyond_what_is_shown_is_whole(
    hidden: Distance, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = knowing(monkeypatch, hidden)
    geometry = Geometry.of_label_map(scan(), 3)
    field = encode_heart(geometry, trained, EncodeOptions(points=256, latents=16))
    assert np.allclose(field.frame.center_mm, (0, 17.5, 0), atol=0.5)
    everything = scan(hidden)
    made = rasterize(field, Grid.around(*field.domain.domain_mm(), 2.0))
    for label in (1, 2, 3):
        volume = (made.labels == label).sum() / (everything.labels == label).sum()
        assert volume == pytest.approx(1, abs=0.03)
    if hidden is HIDDEN["near"]:
        assert field.domain == field.frame
    shown_mm = field.domain.to_unit(geometry.vertices_mm())
    assert np.abs(shown_mm).max() < DOMAIN


def test_a_model_that_finds_the_heart_without_end_is_looked_at_about_what_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = knowing(monkeypatch, half_space((0, 0, -1), -60))
    geometry = Geometry.of_label_map(scan(), 3)
    field = encode_heart(geometry, trained, EncodeOptions(points=256, latents=16))
    middle_mm = np.array(field.domain.center_mm)
    low_mm = geometry.vertices_mm().min(axis=0)
    assert middle_mm[2] == pytest.approx(low_mm[2] + 80 * DOMAIN, abs=15)
    beyond_mm = middle_mm + [[0, 0, 80 * DOMAIN + 1]]
    assert (field.distances_mm(beyond_mm) > 0).all()


def test_whole_hearts_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = HIDDEN["half in"]
    trained = knowing(monkeypatch, hidden)
    whole = Geometry.of_label_map(scan(hidden), 3)
    field = encode_heart(whole, trained, EncodeOptions(points=256, latents=16))
    assert field.domain == field.frame


def test_a_reconstruction_holds_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = HIDDEN["half in"]
    knowing(monkeypatch, hidden).save_pretrained(tmp_path / "model")
    path = tmp_path / "heart.nii.gz"
    write_label_map(scan(hidden).to_label_set(label_set("default"), NAMES), path)
    options = ReconstructOptions(
        EncodeOptions(hide=("LA",), points=256), resolution=96, keep_observed=True, ensemble=2
    )
    assert reconstruct(tmp_path / "model", [path], tmp_path / "out", options) == {}
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["structures"]["LA"]
    assert found["volume_ml"] == pytest.approx(4 / 3 * np.pi * 25**3 / 1000, rel=0.03)
    assert found["sd_mm"]["inferred"]["mean"] < 3  # the draws are asked there as well


def test_as_few_points_as_there_are_make_as_few_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = knowing(monkeypatch, HIDDEN["near"])
    geometry = Geometry.of_label_map(scan(), 3)
    field = encode_heart(geometry, trained, EncodeOptions(points=20))
    assert field.latent_set.latents.shape[1] == 20 < 2 * trained.network.spec.anchors


def test_a_scan_of_edges_alone_is_told_and_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = HIDDEN["near"]
    knowing(monkeypatch, hidden).save_pretrained(tmp_path / "model")
    labels = np.zeros((60, 60, 4), np.uint8)
    labels[15:45, 15:45] = 1
    thin = LabelMap(labels, np.diag([1.4, 1.4, 8, 1]))
    for name, label_map in (("thin", thin), ("good", scan(hidden))):
        path = tmp_path / f"{name}.nii.gz"
        write_label_map(label_map.to_label_set(label_set("default"), NAMES), path)
    paths = [tmp_path / "thin.nii.gz", tmp_path / "good.nii.gz"]
    options = ReconstructOptions(EncodeOptions(points=256), resolution=32)
    failed = reconstruct(tmp_path / "model", paths, tmp_path / "out", options)
    assert failed.keys() == {"thin"}
    assert "a scan of 60 × 60 × 4 voxels shows no surface" in failed["thin"]
    assert (tmp_path / "out" / "good" / "labels.nii.gz").exists()
