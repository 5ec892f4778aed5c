"""``vecsetx phantom --frames``: label maps of a cycle, and the truth beside them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run

from vecsetx.anatomy.label_sets import label_set
from vecsetx.formats.series import read_series


def test_beating_phantoms_have_their_true_volumes_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ("phantom", out, "--count", 1, "--size", 64, "--spacing", 2.4, "--workers", 1)
    assert run(*words, "--frames", 2, monkeypatch=monkeypatch) == 0
    assert "vecsetx reconstruct --frames" in capfd.readouterr().out
    series = read_series(out / "phantom000.nii.gz")
    assert (len(series.frames), series.step_ms) == (2, 400)
    truth = json.loads((out / "truth.json").read_text())["phantom000"]
    assert (truth["end_diastole"], truth["end_systole"]) == (1, 2)
    with (out / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["heart"], row["frame"]) for row in rows] == [("phantom000", k) for k in "12"]
    lv_ml = [float(row["LV_volume_ml"]) for row in rows]
    fraction = truth["numbers"]["LV_ejection_fraction_percent"]
    assert fraction == pytest.approx(100 * (1 - lv_ml[1] / lv_ml[0]), abs=0.01)
    label = label_set("default").id_of("LV")
    for row, one in zip(rows, series.frames, strict=True):
        voxels_ml = np.count_nonzero(one.labels == label) * one.voxel_volume_mm3 / 1000
        assert voxels_ml == pytest.approx(float(row["LV_volume_ml"]), rel=0.02)
