"""The same commands on real hearts, where they are at hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vecsetx.anatomy.label_sets import label_set
from vecsetx.cli import app
from vecsetx.data.dataset import DataSet
from vecsetx.formats.label_maps import read_label_map, write_label_map

SETS = {
    "default": ("kcl/train/case01.nii.gz", "kcl/train/case02.nii.gz"),
    "mmwhs": ("mmwhs/ct_train_1005.nii.gz", "mmwhs/ct_train_1012.nii.gz"),
}
SEVEN = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("labels", "stride"),
    [
        ("default", 4),
        pytest.param("default", 1, marks=pytest.mark.slow),
        pytest.param("mmwhs", 1, marks=pytest.mark.slow),
    ],
)
def test_from_real_label_maps_to_scores_and_meshes(
    labels: str, stride: int, real_hearts: Path, tmp_path: Path
) -> None:
    maps = [tmp_path / Path(name).name for name in SETS[labels]]
    for name, path in zip(SETS[labels], maps, strict=True):
        write_label_map(read_label_map(real_hearts / name).downsampled(stride), path)
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "out"
    options = ("--labels", labels, "--points", 2000, "--val-share", 0.5)
    invoke("prepare", *maps, "--out", data, *options)
    assert set(DataSet.read(data).structures) == set(SEVEN)
    invoke("check", data, "--pictures", 1)
    small = (
        "model.width=32",
        "model.layers=1",
        "model.latents=32",
        "training.steps=10",
        "batch.points=512",
    )
    invoke("train", data, "--out", run, *small)
    invoke("evaluate", data, "--model", run, "--out", out)
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores["summary"]["structures"]) == set(SEVEN)
    heart = Path(DataSet.read(data).of_split("val")[0].source)
    invoke("reconstruct", heart, "--model", run, "--out", out / "r", "--resolution", 48)
    truth, made = read_label_map(heart), read_label_map(out / "r" / "labels.nii.gz")
    np.testing.assert_array_equal(truth.affine, made.affine)
    assert truth.shape == made.shape
    assert set(np.unique(made.labels)) <= {0, *label_set(labels).ids}


@pytest.mark.slow
def test_visible_human_has_coronaries_and_veins(real_hearts: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    heart = real_hearts / "visible_human" / "female.nii.gz"
    output = invoke("prepare", heart, "--out", data, "--points", 8000)
    assert "no heart has LAA (label set default): taken as not annotated. If" in " ".join(
        output.split()
    )
    invoke("check", data, "--pictures", 1)
    found = json.loads((data / "check" / "check.json").read_text())["hearts"][0]
    assert found["pieces"]["Coronary"] == 4
    assert found["volumes_ml"]["Coronary"] == pytest.approx(2.35, abs=0.1)
    assert min(found["points"]["surface"].values()) > 400
