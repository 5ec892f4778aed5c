"""What the built-in model reconstructs badly is no heart as it knows hearts, and says so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation.misfit import POOR_DICE, misfit, too_large
from vecsetx.formats.label_maps import write_label_map
from vecsetx.model import built_in


def scores(**dice: float) -> dict[str, dict[str, float]]:
    return {name: {"dice": value} for name, value in dice.items()}


def test_only_what_was_shown_counts_by_its_mean() -> None:
    shown = {"LV": True, "RV": True, "PA": False}
    assert misfit(scores(LV=0.9, RV=2 * POOR_DICE - 0.89, PA=0.0), shown) is None
    found = misfit(scores(LV=0.9, RV=2 * POOR_DICE - 0.91, PA=1.0), shown)
    assert found
    assert "(mean Dice 0.84, below 0.85)" in found
    assert misfit({}, shown) is None
    assert misfit(scores(PA=0.0), shown) is None


def test_results_are_marked_and_the_exit_status_is_1(
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # A model that has hardly learned knows no heart.
    folder = shutil.copytree(trained_run / "model", tmp_path / "installed")
    monkeypatch.setattr(built_in, "_FOLDER", folder)
    coarse = ("--resolution", 24, "--points", 200, "--refine", 0, "--no-page")
    heart, out = Path(dataset.hearts[0].source), tmp_path / "out"
    assert run("reconstruct", heart, "--out", out, *coarse, monkeypatch=monkeypatch) == 1
    said = "the model reconstructs badly what it was shown (mean Dice 0."
    captured = capfd.readouterr()
    assert f"{heart}: {said}" in captured.err.replace("\n", "")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["misfit"].startswith(said)
    assert summary["provenance"]["remarks"][0] == summary["misfit"]
    assert (out / "LV.vtp").exists()
    # Of one's own model, its training may be the reason.
    own = ("--model", trained_run, "--out", tmp_path / "own")
    assert run("reconstruct", heart, *own, *coarse, monkeypatch=monkeypatch) == 0
    assert json.loads((tmp_path / "own" / "summary.json").read_text())["misfit"] is None


def test_no_structure_is_larger_than_that_of_any_heart() -> None:
    most = structure("LV").most_ml
    assert too_large({"LV": {"input_ml": most}, "Coronary": {"input_ml": 10.0}}) is None
    found = too_large({"LV": {"input_ml": most + 1}, "PA": {"input_ml": 1200.0}})
    assert found
    assert found.startswith(
        "the LV holds 801 ml, and that of no heart over 800 ml; the PA holds 1200 ml, and that of "
        "no heart over 600 ml: this is another organ"
    )
    assert too_large({}) is None


def test_a_liver_under_the_name_of_a_structure_is_no_heart(
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    at = np.stack(np.meshgrid(*[np.arange(-20, 21) * 5.0] * 3, indexing="ij"), axis=-1)
    liver = ((at / [95.0, 75.0, 55.0]) ** 2).sum(axis=-1) < 1
    ml = liver.sum() * 5.0**3 / 1000
    assert 1500 < ml < 1800
    path = tmp_path / "liver.nii.gz"
    write_label_map(LabelMap(3 * liver.astype(np.uint8), np.diag([5.0, 5.0, 5.0, 1.0])), path)
    coarse = ("--resolution", 24, "--points", 200, "--refine", 0, "--no-page")
    out = ("--out", tmp_path / "out", "--model", trained_run)
    assert run("reconstruct", path, *out, *coarse, monkeypatch=monkeypatch) == 1
    said = capfd.readouterr().err.replace("\n", "")
    assert f"{path}: the LV holds {ml:.0f} ml, and that of no heart over 800 ml" in said
