"""What a run's commands say to type next does what it says."""

import json
import shlex
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from support.command_line import run
from support.runs import RECIPE

from vecsetx.data.dataset import DataSet
from vecsetx.runs.run_folder import is_finished, next_command
from vecsetx.terminal.next_step import typed
from vecsetx.terminal.training_display import TrainingDisplay


def last_line(capfd: pytest.CaptureFixture[str]) -> list[str]:
    *_, last = capfd.readouterr().out.splitlines()
    assert last.startswith("next: vecsetx ")
    return shlex.split(last)[2:]


def test_paths_within_the_current_folder_are_given_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed("check", tmp_path / "my data") == "vecsetx check 'my data'"
    for elsewhere in (tmp_path, tmp_path.parent / "data", Path("data"), f"{tmp_path}/data"):
        assert typed("check", elsewhere) == f"vecsetx check {elsewhere}"
    assert typed("check", tmp_path / "--data") == f"vecsetx check {tmp_path}/--data"
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert typed("check", tmp_path / "gone" / "data") == f"vecsetx check {tmp_path}/gone/data"


def test_a_run_is_trained_and_evaluated_by_typing_what_comes_next(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    config, data = tmp_path / "recipe.yaml", str(dataset.folder.resolve())
    config.write_text(yaml.safe_dump(RECIPE.changed({"training": {"steps": 4}}, "").to_dict()))
    words = ("train", dataset.folder, "--out", "a run", "--config", config, "--fold", 1)
    assert run(*words, "--stop-after", 2, monkeypatch=monkeypatch) == 0
    following = last_line(capfd)
    assert following == ["train", data, "--out", "a run", "--fold", "1", "--resume"]
    assert run("diagnose", "a run", monkeypatch=monkeypatch) == 0
    assert last_line(capfd) == [*following, "training.steps=50"]  # as 4 are too few to judge
    counted: list[int] = []
    monkeypatch.setattr(TrainingDisplay, "step", lambda _, done: counted.append(done))
    assert run(*following, monkeypatch=monkeypatch) == 0
    assert counted[0] == 2  # the display goes on where the run does
    following = last_line(capfd)
    assert following == ["evaluate", data, "--model", "a run", "--fold", "1", "--out", "scores/"]
    assert run("diagnose", "a run", monkeypatch=monkeypatch) == 0
    assert last_line(capfd) == following
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")  # a process beside the first one, which alone speaks
    monkeypatch.setattr("vecsetx.commands.train.train_model", lambda *_: None)
    assert run(*words, "--resume", monkeypatch=monkeypatch) == 0
    assert capfd.readouterr().out == ""


class Nothing(dict[str, str]):
    """No failures, and an evaluation without any."""

    scores: ClassVar[dict[str, str]] = {}
    failed: ClassVar[dict[str, str]] = {}


@pytest.mark.parametrize(
    ("words", "function", "following"),
    [
        (
            "evaluate data --model run --out s",
            "evaluate.evaluate",
            "reconstruct INPUTS --model run --out patient/",
        ),
        ("reconstruct data --model run --out p", "reconstruct.reconstruct", "info p"),
        ("export data --out npz", "export.export", "inspect npz"),
        ("phantom labels", "phantom.make_phantoms", "inspect labels"),
        (
            "plan data --preset small training.steps=9",
            "plan.plan_training",
            "train data --out run-2/ --preset small training.steps=9",  # as there is a run/
        ),
    ],
)
def test_a_command_ends_with_what_to_type_next(
    words: str, function: str, following: str, monkeypatch: pytest.MonkeyPatch, tmp_path, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    monkeypatch.setattr(f"vecsetx.commands.{function}", lambda *_: Nothing())
    monkeypatch.setattr("vecsetx.terminal.tables.print_evaluation", lambda _: None)
    assert run(*words.split(), monkeypatch=monkeypatch) == 0
    assert last_line(capfd) == following.split()


def test_the_wrong_folder_is_told_before_anything_is_read(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    words = ("train", tmp_path / "no data", "--out")
    assert run(*words, tmp_path / "none", "--resume", monkeypatch=monkeypatch) == 2
    assert "none: no run to resume (no recipe.yaml)" in capfd.readouterr().err
    assert run(*words, trained_run, monkeypatch=monkeypatch) == 2
    assert "already contains a run; add --resume" in capfd.readouterr().err


def test_after_a_fault_a_run_is_trained_again_beside_it(trained_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained_run, tmp_path / "a run")
    data = json.loads((copy / "data.json").read_text())["folder"]
    assert is_finished(copy)
    told = next_command(copy, True, faults=True)
    again = f"vecsetx train {data} --out '{copy}-2' --config '{copy}/recipe.yaml' OPTION=VALUE"
    assert told == f"{again}, with the option named above"


def test_a_data_set_that_has_moved_is_recorded_on_resuming(
    dataset: DataSet, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(trained_run, tmp_path / "run")
    moved = shutil.copytree(dataset.folder, tmp_path / "moved")
    words = ("train", moved, "--out", copy, "--resume", "--preflight")
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert json.loads((copy / "data.json").read_text())["folder"] == str(moved)
