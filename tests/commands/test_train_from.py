"""``vecsetx train --from``: training that begins with another model's weights and pose."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command_line import run
from support.runs import RECIPE, losses, weights

from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.model.saved import TrainedModel
from vecsetx.runs.other_models import OtherModels

OPTIONS = (
    *("batch.hearts=2", "batch.points=256", "batch.surface=32", "batch.near=64"),
    *("batch.volume=32", "training.log_every=1", "training.precision=fp32"),
)


def test_it_begins_with_the_models_weights_and_its_pose(
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = TrainedModel.from_pretrained(trained_run)
    assert model.pose
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    turned = ReferenceHeart({n: p @ turn.T for n, p in model.pose.points_mm.items()})
    replace(model, pose=turned).save_pretrained(tmp_path / "start")
    words = ("train", dataset.folder, "--out", tmp_path / "run", *OPTIONS, "training.steps=3")
    started = (*words, "--from", tmp_path / "start")
    assert run(*started, "--stop-after", 1, monkeypatch=monkeypatch) == 0
    log = (tmp_path / "run" / "train.log").read_text()
    assert f"starts from {tmp_path / 'start'}, which knows Myocardium" in log
    # Without training, the loss is what the model had at its end: far from that of random weights.
    assert losses(tmp_path / "run")[0] < 0.75 * losses(trained_run)[0]
    # It goes on from its checkpoint, also if the options are not typed again.
    resumed = ("train", dataset.folder, "--out", tmp_path / "run", "--resume")
    assert run(*resumed, monkeypatch=monkeypatch) == 0
    found = TrainedModel.from_pretrained(tmp_path / "run")
    assert found.provenance["start"] == str(tmp_path / "start")
    assert found.pose
    for name, points_mm in turned.points_mm.items():
        np.testing.assert_array_equal(found.pose.points_mm[name], points_mm)
    # The same as without a stop.
    whole = tmp_path / "whole"
    assert run(*started[:3], whole, *started[4:], monkeypatch=monkeypatch) == 0
    for name, weight in weights(whole).items():
        torch.testing.assert_close(weight, weights(tmp_path / "run")[name], rtol=0, atol=0)
    # Another model in its place is noticed.
    shutil.rmtree(tmp_path / "start")
    shutil.copytree(trained_run / "model", tmp_path / "start")
    with torch.no_grad():
        model.network.head.project.bias[0] += 1
    model.save_pretrained(tmp_path / "start")
    capsys.readouterr()
    assert run(*resumed, "training.steps=4", monkeypatch=monkeypatch) == 2
    assert "with another teacher or other weights to start from" in capsys.readouterr().err


def test_what_does_not_fit_is_refused_before_the_folder_is_made(
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("train", dataset.folder, "--out", tmp_path / "run", *OPTIONS, "training.steps=1")
    for options, why in (
        (("--from", trained_run, "model.width=64"), r"model.width=32, not 64; leave model options"),
        (("--from", tmp_path / "no"), "no such folder; check the path of the model"),
        (("--from", trained_run, "batch.pose=scan"), "add batch.pose=anatomy, or choose another"),
    ):
        assert run(*words, *options, monkeypatch=monkeypatch) == 2
        assert why in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_a_teacher_and_a_start_must_know_hearts_in_one_pose(
    trained_run: Path, tmp_path: Path
) -> None:
    model = TrainedModel.from_pretrained(trained_run)
    assert model.pose
    other = ReferenceHeart({name: points + 1 for name, points in model.pose.points_mm.items()})
    replace(model, pose=other).save_pretrained(tmp_path / "other")
    replace(model, pose=None).save_pretrained(tmp_path / "scan")
    both = {"start": str(trained_run), "teacher": str(trained_run)}
    found = OtherModels.of(RECIPE.changed({"training": both}, ""))
    assert found.pose is not None
    mixed = {**both, "teacher": str(tmp_path / "other")}
    with pytest.raises(InputError, match="choose models of the same reference heart"):
        OtherModels.of(RECIPE.changed({"training": mixed}, ""))
    scan = {"teacher": str(tmp_path / "scan")}
    with pytest.raises(InputError, match=r"training\.teacher .*was trained with batch\.pose=scan"):
        OtherModels.of(RECIPE.changed({"training": scan}, ""))
    lies = RECIPE.changed({"training": scan, "batch": {"pose": "scan"}}, "")
    assert OtherModels.of(lies).pose is None
