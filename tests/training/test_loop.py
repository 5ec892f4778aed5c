"""What a run computes: passes, averages, validations, epochs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.forked import server
from support.runs import GRADIENTS, RECIPE, assert_close, losses, weights

from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation import validation
from vecsetx.model.saved import TrainedModel
from vecsetx.terminal.training_display import TrainingDisplay
from vecsetx.training import loop
from vecsetx.training.journal import read_journal
from vecsetx.training.run import Validation
from vecsetx.training.spec import TrainingSpec


def test_several_passes_equal_a_larger_batch(dataset: DataSet, tmp_path: Path) -> None:
    train_model(dataset.folder, tmp_path / "one", GRADIENTS.changed({"batch": {"hearts": 4}}, ""))
    passes = GRADIENTS.changed({"batch": {"hearts": 1}, "training": {"passes": 4}}, "")
    train_model(dataset.folder, tmp_path / "four", passes)
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "four"), rel=1e-5)
    assert_close(weights(tmp_path / "one"), weights(tmp_path / "four"))


def test_data_workers_draw_the_same(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop._SPAWN.get_start_method() == "spawn"
    monkeypatch.setattr(loop, "_SPAWN", server())
    for name, workers in (("none", 0), ("two", 2)):
        recipe = RECIPE.changed({"training": {"data_workers": workers}}, "")
        train_model(dataset.folder, tmp_path / name, recipe)
    assert losses(tmp_path / "none") == losses(tmp_path / "two")


def test_the_moving_average_is_kept_as_the_model(dataset: DataSet, tmp_path: Path) -> None:
    recipe = RECIPE.changed({"training": {"average": 0.5, "checkpoint_every": 1}}, "")
    expected: dict[str, torch.Tensor] = {}
    for step in range(1, 9):  # by hand, from the weights after every step
        trained = train_model(
            dataset.folder, tmp_path / "run", recipe, resume=step > 1, stop_after=step
        )
        for name, weight in weights(tmp_path / "run").items():
            before = expected.get(name, weight)
            expected[name] = 0.5 * before + 0.5 * weight
    assert_close(expected, trained.network.state_dict())
    whole = train_model(dataset.folder, tmp_path / "whole", recipe)
    assert_close(whole.network.state_dict(), trained.network.state_dict())


def validating(dice: list[float | Exception]) -> type:
    """A validator that gives these scores one after the other, or raises."""

    class Validator:
        def validate(self, *_: object) -> float:
            found = dice.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        def summary(self, shares: list[float]) -> Validation:
            return Validation(1.0, {"near": 1.0}, {}, sum(shares), {"LA": sum(shares)}, ["heart"])

    return Validator


def test_the_best_validation_s_weights_are_kept(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.changed({"training": {"validate_every": 2}}, "")
    validator = validating([0.3, 0.6, 0.5, 0.4])()
    monkeypatch.setattr(validation, "make_validator", lambda *_: validator)
    kept = train_model(dataset.folder, tmp_path / "run", recipe)
    monkeypatch.setattr(validation, "make_validator", lambda *_: validating([0.1, 0.2])())
    train_model(dataset.folder, tmp_path / "half", recipe, stop_after=4)
    assert_close(kept.network.state_dict(), weights(tmp_path / "half"))
    assert_close(
        TrainedModel.from_pretrained(tmp_path / "run").network.state_dict(),
        weights(tmp_path / "half"),
    )


def test_a_resumed_run_remembers_its_best(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.changed({"training": {"validate_every": 2}}, "")
    monkeypatch.setattr(validation, "make_validator", lambda *_: validating([0.3, 0.9])())
    train_model(dataset.folder, tmp_path / "run", recipe, stop_after=4)
    best = weights(tmp_path / "run")
    monkeypatch.setattr(validation, "make_validator", lambda *_: validating([0.5, 0.6])())
    kept = train_model(dataset.folder, tmp_path / "run", recipe, resume=True)
    assert_close(kept.network.state_dict(), best)


def test_a_validation_that_fails_is_told_and_training_goes_on(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = RECIPE.changed({"training": {"validate_every": 4}}, "")
    failing = validating([KeyError("LAA"), 0.5])()
    monkeypatch.setattr(validation, "make_validator", lambda *_: failing)
    train_model(dataset.folder, tmp_path / "run", recipe)
    told = " ".join(capsys.readouterr().out.split())
    assert "the validation after step 4 failed: KeyError: 'LAA'" in told
    entries = [e for e in read_journal(tmp_path / "run" / "metrics.jsonl") if e["split"] == "val"]
    assert [entry.get("error") for entry in entries] == ["KeyError: 'LAA'", None]
    assert len(losses(tmp_path / "run")) == 4


def test_every_step_is_shown_as_soon_as_it_is_done(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    monkeypatch.setattr(TrainingDisplay, "step", lambda _, done: shown.append(done))
    train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert shown == list(range(1, 9))


def test_epochs_become_steps() -> None:
    spec = TrainingSpec(epochs=10, validate_epochs=2)
    assert spec.in_steps(hearts=90, per_step=16) == TrainingSpec(steps=57, validate_every=12)
    assert TrainingSpec(steps=5).in_steps(90, 16) == TrainingSpec(steps=5)


def test_a_run_of_epochs(dataset: DataSet, tmp_path: Path) -> None:
    recipe = RECIPE.changed({"training": {"epochs": 4, "log_every": 1, "validate_epochs": 2}}, "")
    train_model(dataset.folder, tmp_path / "run", recipe)
    entries = read_journal(tmp_path / "run" / "metrics.jsonl")
    assert [e["step"] for e in entries if e["split"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert [e["step"] for e in entries if e["split"] == "val"] == [3, 6]
    train_model(dataset.folder, tmp_path / "run", recipe, resume=True)


def test_learning_rates_follow_the_hearts_of_a_step() -> None:
    spec = replace(RECIPE.optimizer, muon_lr=0.004, adamw_lr=0.002, per_hearts=256)
    assert spec.peak_rates(64) == pytest.approx([0.001, 0.0005])
    assert replace(spec, per_hearts=None).peak_rates(64) == [0.004, 0.002]
