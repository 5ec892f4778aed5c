"""Fields scored as ``vecsetx evaluate`` does it, against truths that are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.analytic_fields import OBLIQUE, AnalyticField, any_of, ball, grid_about, heart

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.evaluate import _forget
from vecsetx.data.sources import MeshesSource
from vecsetx.evaluation.reconstruction_scores import Reconstruction, score_reconstruction
from vecsetx.evaluation.scores import Score
from vecsetx.geometry.heart_geometry import Geometry, Segmentation
from vecsetx.inference.support import Support
from vecsetx.reconstruction.mesh_export import write_surfaces
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import field_surfaces
from vecsetx.report.scene import HeartView

LABELS = label_set("default")
NAMES = LABELS.structures
GRID = grid_about((10, 0, 10), OBLIQUE * [1.2, 1.2, 1.6], 80)  # oblique and anisotropic


@pytest.fixture(scope="module")
def truth() -> LabelMap:
    return rasterize(heart(), GRID)


def scored(given: Segmentation, field: AnalyticField, **options) -> dict[str, Score]:
    rows = score_reconstruction("a", Reconstruction(given, field), NAMES, **options)
    return {row.structure: row for row in rows}


def given(truth: LabelMap) -> Segmentation:
    return Segmentation(Path("a.nii.gz"), NAMES, truth)


def without(field: AnalyticField, name: str) -> AnalyticField:
    return AnalyticField(field.shapes | {name: lambda points: np.full(points.shape[:-1], 99.0)})


def grown(field: AnalyticField, name: str, by_mm: float) -> AnalyticField:
    shape = field.shapes[name]
    return AnalyticField(field.shapes | {name: lambda points: shape(points) - by_mm})


def test_the_field_of_the_truth_itself(truth: LabelMap) -> None:
    """On the grid nothing is wrong; smoothed and exact meshes differ by a tenth of a voxel."""
    for name, row in scored(given(truth), heart()).items():
        assert (row.values["dice"], row.values["nsd"]) == (1, 1), name
        assert row.values["hd95_mm"] == row.values["volume_error_ml"] == 0
        # The coronary is narrower than a voxel is long.
        assert row.values["mesh_assd_mm"] < (0.5 if name == "Coronary" else 0.16), name


def test_meshes_that_are_the_truth_are_scored_as_they_are(truth: LabelMap, tmp_path: Path) -> None:
    write_surfaces(tmp_path, field_surfaces(heart(), GRID), NAMES, "vtp", "lps")
    meshes = MeshesSource("a", tmp_path, LABELS).segmentation(NAMES)
    for name, row in scored(replace(meshes, label_map=truth), heart()).items():
        assert row.values["mesh_assd_mm"] < 1e-3, name
        assert row.values["mesh_hd95_mm"] < 1e-3, name
        assert row.values["mesh_nsd"] == pytest.approx(1)


def test_a_structure_that_is_missed(truth: LabelMap) -> None:
    row = scored(given(truth), without(heart(), "LAA"))["LAA"]
    assert row.state == "missed"
    assert (row.values["dice"], row.values["mesh_nsd"]) == (0, 0)
    assert row.values["assd_mm"] == row.values["mesh_hd95_mm"] > 100
    assert row.values["mesh_volume_error_ml"] == pytest.approx(
        row.values["volume_error_ml"], rel=0.1
    )


def test_meshes_tell_how_far_a_wall_is_off(truth: LabelMap) -> None:
    """The right ventricle is 1 mm too large where it borders on nothing else."""
    field = grown(heart(), "RA", 1.0)
    row = scored(given(truth), field)["RA"]
    assert row.values["volume_error_ml"] > 0
    assert row.values["mesh_volume_error_ml"] == pytest.approx(
        row.values["volume_error_ml"], rel=0.2
    )
    assert row.values["mesh_hd95_mm"] == pytest.approx(1.0, abs=0.25)


def test_meshes_can_be_left_out(truth: LabelMap) -> None:
    rows = scored(given(truth), heart(), meshes=False)
    assert not any("mesh" in measure for row in rows.values() for measure in row.values)


def test_a_field_is_asked_once_for_scores_and_meshes(truth: LabelMap) -> None:
    made = Reconstruction(given(truth), field := heart())
    score_reconstruction("a", made, NAMES, meshes=False)
    asked = field.asked
    score_reconstruction("a", made, NAMES)
    assert made.surfaces is made.surfaces
    assert field.asked == asked > 0


def test_specks_are_scored_only_where_something_observed_supports_them(truth: LabelMap) -> None:
    speck = ball((-40, -30, -20), 3.0)  # 0.11 ml, away from the heart
    invented = AnalyticField(heart().shapes | {"LV": any_of(heart().shapes["LV"], speck)})
    supports = Support(Geometry.of_label_map(truth, len(NAMES)))
    kept, removed = (
        Reconstruction(given(truth), invented, supports=each) for each in (None, supports)
    )
    pieces = [
        next(row for row in score_reconstruction("a", made, NAMES) if row.structure == "LV").values
        for made in (kept, removed)
    ]
    assert [found["prediction_pieces"] for found in pieces] == [2, 1]
    assert 1 >= pieces[1]["dice"] > 0.9999 > pieces[0]["dice"]
    assert pieces[1]["mesh_hd95_mm"] <= pieces[0]["mesh_hd95_mm"]


def test_few_hearts_are_kept_for_the_page_the_best_and_the_worst_among_them() -> None:
    kept, dice = {}, {}
    for k in np.random.default_rng(0).permutation(40):
        name = f"{k:02}"
        dice[name] = {"LV": {"dice": k / 40}}
        kept[name] = HeartView(name, {}, {}, k / 40)
        _forget(kept, dice)
        assert len(kept) <= 12
        assert {min(dice), max(dice)} <= kept.keys()
        if len(dice) <= 12:
            assert kept.keys() == dice.keys()
