"""What the built-in model reconstructs badly is no heart as it knows hearts, and says so."""

import json
import shutil
from pathlib import Path

import pytest
from support.command_line import run

from vecsetx.data.dataset import DataSet
from vecsetx.evaluation.heart_remarks import as_sentence
from vecsetx.evaluation.misfit import POOR_DICE, misfit
from vecsetx.model import built_in


def scores(**dice: float) -> dict[str, dict[str, float]]:
    return {name: {"dice": value} for name, value in dice.items()}


def test_only_what_was_shown_counts_by_its_mean() -> None:
    shown = {"LV": True, "RV": True, "PA": False}
    assert misfit(scores(LV=0.9, RV=2 * POOR_DICE - 0.89, PA=0.0), shown) is None
    found = misfit(scores(LV=0.9, RV=2 * POOR_DICE - 0.91, PA=1.0), shown)
    assert found
    assert "(mean Dice 0.84 of chambers and great vessels, below 0.85)" in found
    assert misfit({}, shown) is None
    assert misfit(scores(PA=0.0), shown) is None


def test_thin_and_small_structures_do_not_count() -> None:
    shown = {"LV": True, "Coronary": True, "PV": True, "LAA": True}
    assert misfit(scores(LV=0.9, Coronary=0.1, PV=0.2, LAA=0.3), shown) is None
    assert misfit(scores(LV=0.8, Coronary=0.9, PV=0.9, LAA=0.9), shown)
    assert misfit(scores(Coronary=0.1), shown) is None


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
    assert summary["remarks"][0] == {"text": as_sentence(summary["misfit"]), "kind": "fault"}
    assert (out / "LV.vtp").exists()
    # Of one's own model, its training may be the reason.
    own = ("--model", trained_run, "--out", tmp_path / "own")
    assert run("reconstruct", heart, *own, *coarse, monkeypatch=monkeypatch) == 0
    assert json.loads((tmp_path / "own" / "summary.json").read_text())["misfit"] is None
