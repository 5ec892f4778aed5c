"""A heart of which a part is unknown is completed as one that ends at the edge of its scan."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.analytic_fields import AnalyticField, ball
from support.runs import untrained

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize

NAMES = ("LV", "RV", "LA")
NOWHERE = ball((500, 0, 0), 5)
TRUE = AnalyticField({"LV": ball((0, 0, 0), 20), "RV": ball((0, 28, -14), 7), "LA": NOWHERE})
PREDICTED = AnalyticField({"LV": ball((0, 0, 0), 22), "RV": ball((0, 29, -12), 8), "LA": NOWHERE})
MODEL = LabelSet("mine", {3: "LV", 5: "RV", 2: "LA"}, ignore=frozenset({77}))
SPACING_MM, KNOWN = 1.5, 26


@pytest.fixture(scope="module")
def whole() -> LabelMap:
    low, high = np.array([-30.0, -32, -32]), np.array([30.0, 40, 32])
    return rasterize(TRUE, Grid.around(low, high, SPACING_MM))


def ignored(whole: LabelMap) -> LabelMap:
    """The heart, of which nothing is known above a slice through the LV."""
    voxels = np.zeros(whole.shape, bool)
    voxels[:, :, KNOWN:] = True
    return whole.with_unknown(voxels, "not looked at")


def test_a_part_that_is_unknown_is_completed_as_beyond_the_scan(whole) -> None:
    made = ignored(whole)
    shorter = replace(whole, labels=np.ascontiguousarray(whole.labels[:, :, :KNOWN]))
    points_mm = np.random.default_rng(0).uniform(-32, 38, (4000, 3))
    fields = [
        CompletedField.of(PREDICTED, Geometry.of_label_map(label_map, 3))
        for label_map in (made, shorter)
    ]
    found, expected = (field.distances_mm(points_mm) for field in fields)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert fields[0].visibility.cut.tolist() == [True, False, False]
    beyond = points_mm[:, 2] > 20
    np.testing.assert_allclose(
        found[beyond, 0], PREDICTED.distances_mm(points_mm[beyond])[:, 0].clip(-7, 7), atol=1e-4
    )


def test_a_hole_of_unknown_voxels_is_filled_by_the_model(whole) -> None:
    """A block in the wall of the LV is unknown: there the surface is the model's, 2 mm out."""
    voxels = np.zeros(whole.shape, bool)
    middle = np.rint(whole.to_indices(np.array([[20.0, 0, 0]]))).astype(int)[0]
    voxels[tuple(slice(m - 4, m + 5) for m in middle)] = True
    made = whole.with_unknown(voxels, "not looked at")
    field = CompletedField.of(PREDICTED, Geometry.of_label_map(made, 3))
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    on_true = 20 * directions
    found = field.distances_mm(on_true)[:, 0]
    from_hole_mm = np.abs(on_true - [20, 0, 0]).max(axis=1)
    assert np.abs(found[from_hole_mm > 12]).max() < SPACING_MM / 2  # as observed
    in_hole = found[from_hole_mm < 3]
    assert (in_hole < -0.2).all()  # inside the model's larger ball
    assert (np.abs(found[from_hole_mm < 12]) < 2.5).all()


def test_reconstruct_keeps_the_grid_and_tells_what_is_inferred(
    whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeartField, "distances_mm", lambda _, mm: PREDICTED.distances_mm(mm))
    untrained(NAMES).save_pretrained(tmp_path / "model")
    made = ignored(whole)
    ids = np.where(made.unknown, 77, np.array([0, 3, 5, 2])[made.labels]).astype(np.uint8)
    write_label_map(LabelMap(ids, made.affine), tmp_path / "scan.nii.gz")
    options = ReconstructOptions(
        EncodeOptions(label_set=MODEL), resolution=48, space="ras", keep_observed=True
    )
    assert (
        reconstruct(tmp_path / "model", [tmp_path / "scan.nii.gz"], tmp_path / "r", options) == {}
    )
    labels, inferred = (
        np.asarray(nib.load(tmp_path / "r" / f"{name}.nii.gz").dataobj)
        for name in ("labels", "inferred")
    )
    assert labels.shape == ids.shape
    assert set(np.unique(labels)) == {0, 3, 5}
    assert (labels[made.unknown] == 3).sum() > 500
    np.testing.assert_array_equal(inferred[made.unknown], labels[made.unknown])
    assert not inferred[:, :, : KNOWN - 3].any()
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())["structures"]
    assert 0.3 < summary["LV"]["observed_share"] < 0.95
    assert summary["RV"]["observed_share"] == 1
