"""What is said of a run before its first step and after its last."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.clock import Clock
from support.runs import RECIPE

from vecsetx.commands.train import LogOptions, check_training, train_model
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.presets import PRESETS
from vecsetx.recipe import Recipe, parse_overrides
from vecsetx.terminal.run_summary import size, why_no_validation
from vecsetx.training.ranks import Ranks
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.step import Stepper


def told_before(
    dataset: DataSet, out: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    check_training(dataset.folder, out, recipe, False, None, LogOptions())
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if not re.search(r"\(\d+ s\)$", line)]  # of a slow machine


def steps_that_take(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[float]:
    """Let trial steps take that long, one after the other; return what is left of them."""
    clock, takes = Clock(), list(seconds)

    def try_step(*_: object) -> None:
        clock.now += takes.pop(0)

    monkeypatch.setattr("vecsetx.training.preflight.time", clock)
    monkeypatch.setattr(Stepper, "try_step", try_step)
    return takes


@pytest.mark.usefixtures("all_trial_steps")
def test_the_time_of_a_run_is_told_without_that_of_warming_up(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    takes = steps_that_take(monkeypatch, 6.0, 3.0, 2.0)
    recipe = RECIPE.changed({"training": {"steps": 120, "validate_every": 60}}, "")
    size, step, length = told_before(dataset, tmp_path / "run", recipe, capsys)
    assert re.fullmatch(r"training on 3 hearts: 10 structures, 0\.\d\d M weights, 1 × cpu", size)
    assert step.startswith("preflight passed: a step of 2 hearts takes 2 s and about ")
    told = "120 steps will take about 4 min on this machine, as measured now"
    assert length == f"{told}, and validations some more"
    assert not takes


@pytest.mark.usefixtures("all_trial_steps")
def test_a_step_that_takes_long_is_tried_once(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    takes = steps_that_take(monkeypatch, 21.0, 2.0)
    step = told_before(dataset, tmp_path / "run", RECIPE, capsys)[1]
    assert step.startswith("preflight passed: a step of 2 hearts takes 21 s and about ")
    assert takes == [2.0]


def test_the_log_has_a_line_for_each_line_that_is_printed(
    dataset: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = told_before(dataset, tmp_path / "run", RECIPE, capsys)
    logged = (tmp_path / "run" / "train.log").read_text().splitlines()
    assert [re.sub(r"^\S+ \S+ ", "", line) for line in logged] == told
    assert len(told) == 4


def test_a_run_without_validations_says_what_turns_them_on(
    dataset: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_model(dataset.folder, tmp_path / "run", RECIPE)
    told = capsys.readouterr().out.splitlines()
    remedy = "training.validate_every=2 adds some, and keeps the best one's weights"
    assert f"no validations: {remedy}" in told
    assert f"the model is that of the last step, without a validation; {remedy}" in told
    assert "best grid Dice" not in (tmp_path / "run" / "curves.html").read_text()
    assert "best grid Dice" not in "".join(told)


def test_a_run_with_a_validation_says_which_weights_are_kept(
    dataset: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = RECIPE.changed({"training": {"steps": 3, "validate_every": 1000}}, "")
    train_model(dataset.folder, tmp_path / "run", recipe)
    told = capsys.readouterr().out
    assert re.search(r"the model is that of the best validation, grid Dice 0\.\d{3}\n", told)
    assert re.search(r"best grid Dice 0\.\d{3} at step 3", told)
    assert "no validations" not in told


def test_a_data_set_without_validation_hearts_is_told(dataset: DataSet) -> None:
    spec = TrainingSpec(validate_every=10)
    assert why_no_validation(dataset, None, spec) == ""
    alone = replace(dataset, hearts=dataset.of_split("train"))
    assert "the data set has no validation hearts" in why_no_validation(alone, None, spec)


@pytest.mark.parametrize("lasting", [{"steps": 8}, {"epochs": 5}])
def test_a_run_shorter_than_its_ramp_is_told_at_its_start(
    lasting: dict[str, int],
    dataset: DataSet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hiding = {"partial": {"hide": 0.5, "ramp": 2000}, "training": lasting}
    recipe = RECIPE.changed(hiding, "")
    told = told_before(dataset, tmp_path / "run", recipe, capsys)[1]
    longer = "training.steps=1000" if "steps" in lasting else "training.epochs=667"
    assert told == (
        "partial.ramp: hearts are hidden in full only after 2000 hearts, but this run ends after "
        f"16, at 1% of what is to be hidden; type partial.ramp=3, or {longer} or more"
    )
    for word in ("partial.ramp=3", longer, "partial.hide=0"):
        changed = recipe.changed(parse_overrides([word]), "")
        lines = told_before(dataset, tmp_path / word, changed, capsys)
        assert not any(line.startswith("partial.ramp") for line in lines)


def test_no_preset_is_shorter_than_its_ramp() -> None:
    for recipe in PRESETS.values():
        if recipe.partial.at(0):
            assert recipe.partial.ramp <= recipe.training.steps * recipe.batch.hearts


@pytest.mark.parametrize(
    ("has_bf16", "asked", "told"),
    [
        (True, "auto", "bf16"),
        (False, "auto", "fp32, as it has no bfloat16; training.precision=fp16 takes less .*"),
        (False, "fp16", "fp16"),
        (True, "fp32", "fp32"),
    ],
)
def test_the_precision_on_a_gpu_is_said(
    has_bf16: bool,
    asked: str,
    told: str,
    dataset: DataSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def supported(including_emulation: bool) -> bool:
        assert not including_emulation
        return has_bf16

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    batches = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, 0)
    line = size(batches, RECIPE.model.build(10), Ranks(0, 2, torch.device("cuda")), asked)
    assert re.fullmatch(f".* M weights, 2 × cuda in {told}", line)
