"""A run that is resumed with another number of steps."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.command_line import run
from support.runs import RECIPE, weights

from vecsetx.commands.train import LogOptions, check_training, train_model
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.recipe import Recipe
from vecsetx.training import loop
from vecsetx.training.journal import read_journal
from vecsetx.training.optimizer import rate_share

TIMING = dict.fromkeys(("seconds", "waiting", "hearts_per_second", "memory_gb"), 0)


def of_steps(steps: int) -> Recipe:
    return RECIPE.changed({"training": {"steps": steps, "log_every": 1}}, "")


@pytest.fixture(scope="module")
def finished(dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 8 steps; tests copy it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train_model(dataset.folder, out, of_steps(8))
    return out


def stored(run: Path) -> dict[str, str]:
    """The texts of a run's files, without its page."""
    return {name: (run / name).read_text() for name in ("recipe.yaml", "metrics.jsonl")}


class KilledError(BaseException):
    """Ends a process without another word."""


def test_a_finished_run_goes_on_killed_or_not(
    dataset: DataSet, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = (shutil.copytree(finished, tmp_path / name) for name in ("whole", "killed"))
    train_model(dataset.folder, whole, of_steps(14), resume=True)

    step = loop.Training._step

    def dying(self: Any, at: int, drawn: Any) -> Any:
        if at == 10:  # after the checkpoint of step 9
            raise KilledError
        return step(self, at, drawn)

    monkeypatch.setattr(loop.Training, "_step", dying)
    with pytest.raises(KilledError):
        train_model(dataset.folder, killed, of_steps(14), resume=True)
    monkeypatch.setattr(loop.Training, "_step", step)
    train_model(dataset.folder, killed, of_steps(14), resume=True)

    one, other = weights(whole), weights(killed)
    assert all(torch.equal(one[name], other[name]) for name in one)
    journals = [read_journal(run / "metrics.jsonl") for run in (whole, killed)]
    assert [{**e, **TIMING} for e in journals[0]] == [{**e, **TIMING} for e in journals[1]]
    (change,) = (entry for entry in journals[0] if entry["split"] == "length")
    assert (change["step"], change["former_steps"], change["steps"]) == (8, 8, 14)
    peak = RECIPE.optimizer.muon_lr
    assert [e["lr"] for e in journals[0] if e["split"] == "train"] == [
        peak * rate_share(step, 8 if step < 8 else 14, RECIPE.optimizer) for step in range(14)
    ]
    assert yaml.safe_load((whole / "recipe.yaml").read_text())["training"]["steps"] == 14
    assert (whole / "train.log").read_text().count("continues as a run of 14 instead of 8") == 1


def test_a_run_stopped_early_may_become_longer_or_shorter(
    dataset: DataSet, finished: Path, tmp_path: Path
) -> None:
    train_model(dataset.folder, tmp_path / "run", of_steps(20), stop_after=4)
    epochs = of_steps(20).changed({"training": {"epochs": 5}}, "")  # 5 · 3 / 2 hearts: 8 steps
    train_model(dataset.folder, tmp_path / "run", epochs, resume=True)
    entries = read_journal(tmp_path / "run" / "metrics.jsonl")
    assert [e["steps"] for e in entries if e["split"] == "length"] == [8]
    assert [e["step"] for e in entries if e["split"] == "train"] == list(range(1, 9))


def test_fewer_steps_than_are_done_are_refused(
    dataset: DataSet, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    with pytest.raises(InputError, match=r"8 steps are done, .* to have 7; type training\.steps=8"):
        train_model(dataset.folder, run, of_steps(7), resume=True)
    assert stored(run) == stored(finished)


def test_a_preflight_of_a_longer_run_changes_nothing(
    dataset: DataSet, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    check_training(dataset.folder, run, of_steps(14), True, None, LogOptions())
    assert stored(run) == stored(finished)


def test_a_finished_run_says_so_and_what_to_type(
    dataset: DataSet, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    train_model(dataset.folder, run, of_steps(8), resume=True)
    told = "all 8 steps of this run are done; for more, type --resume training.steps=16"
    assert told in capsys.readouterr().out.splitlines()
    assert stored(run) == stored(finished)


def test_the_command_goes_on_with_the_run_s_own_recipe(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Preset, file and overrides of the first call need not be typed again."""
    changes = tmp_path / "small.yaml"
    changes.write_text(yaml.safe_dump(RECIPE.to_dict()))
    words = ("train", dataset.folder, "--out", tmp_path / "run")
    first = ("--config", changes, "training.steps=4", "objective.sharpness=30")
    assert run(*words, *first, monkeypatch=monkeypatch) == 0
    assert run(*words, "--resume", "training.steps=6", monkeypatch=monkeypatch) == 0
    after = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert after["training"]["steps"] == 6
    assert after["objective"]["sharpness"] == 30
    assert after["model"] == yaml.safe_load(changes.read_text())["model"]
    assert read_journal(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 6
    # Another recipe is refused before anything that takes long.
    monkeypatch.setattr("vecsetx.commands.train.DataSet", None)
    assert run(*words, "--resume", "--preset", "tiny", monkeypatch=monkeypatch) == 2
    assert "the run was started with another recipe" in capfd.readouterr().err


@pytest.mark.parametrize("file", ["checkpoint.pt", "recipe.yaml"])
def test_a_run_does_not_go_on_from_another_one_s_files(
    dataset: DataSet, finished: Path, tmp_path: Path, file: str
) -> None:
    other = tmp_path / "other"
    recipe = of_steps(8).changed({"training": {"seed": 3}}, "")
    train_model(dataset.folder, other, recipe)
    mixed = shutil.copytree(finished, tmp_path / "mixed")
    shutil.copy(other / file, mixed / file)
    before = stored(mixed)
    longer = (recipe if file == "recipe.yaml" else of_steps(8)).changed(
        {"training": {"steps": 14}}, ""
    )
    with pytest.raises(InputError, match="that of a run with another recipe or other data"):
        train_model(dataset.folder, mixed, longer, resume=True)
    assert stored(mixed) == before
