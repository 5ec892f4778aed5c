"""What happens to a run: ranks and passes, faults, signals."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from runs import RECIPE, losses, weights

from vecsetx.data.dataset import DataSet
from vecsetx.data.draws import Draws
from vecsetx.errors import DivergedError, InputError, StoppedError
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline import train as pipeline
from vecsetx.pipeline.lock import only_writer
from vecsetx.pipeline.train import train_model
from vecsetx.recipe import Recipe
from vecsetx.training import checkpoint, loop
from vecsetx.training.journal import read_journal

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
GRADIENTS = RECIPE.changed(
    {
        "objective": {"eikonal": 0.1, "normal": 0.1, "gradient_points": 24},
        "optimizer": {"hidden": "adamw", "adamw_lr": 0.0005},
        "training": {"steps": 4, "log_every": 1},
    },
    "",
)


def command(
    data: DataSet, out: Path, recipe: Recipe, *options: str, ranks: int = 1
) -> list[str | Path]:
    """The command line of a run, on several ranks if asked for."""
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(recipe.to_dict()))
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    program = [sys.executable, *(launch if ranks > 1 else []), "-m", "vecsetx", "train"]
    return [*program, data.folder, "--out", out, "--config", file, *options]


def wait_until(happened: Any, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.02)
    return False


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-5, atol=1e-5)


def test_several_passes_equal_a_larger_batch(dataset: DataSet, tmp_path: Path) -> None:
    train_model(dataset.folder, tmp_path / "one", GRADIENTS.changed({"draws": {"hearts": 4}}, ""))
    passes = GRADIENTS.changed({"draws": {"hearts": 1}, "training": {"passes": 4}}, "")
    train_model(dataset.folder, tmp_path / "four", passes)
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "four"), rel=1e-5)
    assert_close(weights(tmp_path / "one"), weights(tmp_path / "four"))


def test_two_ranks_equal_one_with_twice_the_hearts(dataset: DataSet, tmp_path: Path) -> None:
    """With the gradient terms, validation and passes; the last rank draws other hearts."""
    validate = {"training": {"validate_every": 2}}
    four = GRADIENTS.changed({"draws": {"hearts": 4}}, "").changed(validate, "")
    train_model(dataset.folder, tmp_path / "one", four)
    parts = {"draws": {"hearts": 1}, "training": {"passes": 2}}
    recipe = GRADIENTS.changed(parts, "").changed(validate, "")
    together = command(dataset, tmp_path / "two", recipe, ranks=2)
    subprocess.run(together, check=True, env=ENVIRONMENT, timeout=300)
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "two"), rel=1e-5)
    assert_close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    scores = [
        [e["grid_dice"] for e in read_journal(tmp_path / run / "metrics.jsonl") if "grid_dice" in e]
        for run in ("one", "two")
    ]
    assert len(scores[0]) == 2
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_a_rank_that_dies_takes_the_others_along(dataset: DataSet, tmp_path: Path) -> None:
    endless = GRADIENTS.changed({"training": {"steps": 100_000, "checkpoint_every": 5}}, "")
    with subprocess.Popen(
        command(dataset, tmp_path / "run", endless, ranks=2),
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            assert wait_until((tmp_path / "run" / "checkpoint.pt").exists)
            children = subprocess.run(
                ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
            )
            os.kill(int(children.stdout.split()[1]), signal.SIGKILL)
            assert process.wait(60) != 0
            survivors = ["pgrep", "-g", str(process.pid)]
            assert wait_until(lambda: subprocess.run(survivors, check=False).returncode == 1)
        finally:
            subprocess.run(["pkill", "-9", "-g", str(process.pid)], check=False)
    train_model(dataset.folder, tmp_path / "run", endless, resume=True, stop_after=1)


def test_data_workers_draw_the_same(dataset: DataSet, tmp_path: Path) -> None:
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
        def score(self, *_: object) -> list[float]:
            found = dice.pop(0)
            if isinstance(found, Exception):
                raise found
            return [found]

        def mean_dice(self, scores: list[float]) -> float:
            return sum(scores)

    return Validator


def test_the_best_validation_s_weights_are_kept(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.changed({"training": {"validate_every": 2}}, "")
    validator = validating([0.3, 0.6, 0.5, 0.4])()
    monkeypatch.setattr(pipeline, "grid_validator", lambda *_: validator)
    kept = train_model(dataset.folder, tmp_path / "run", recipe)
    monkeypatch.setattr(pipeline, "grid_validator", lambda *_: validating([0.1, 0.2])())
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
    monkeypatch.setattr(pipeline, "grid_validator", lambda *_: validating([0.3, 0.9])())
    train_model(dataset.folder, tmp_path / "run", recipe, stop_after=4)
    best = weights(tmp_path / "run")
    monkeypatch.setattr(pipeline, "grid_validator", lambda *_: validating([0.5, 0.6])())
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
    monkeypatch.setattr(pipeline, "grid_validator", lambda *_: failing)
    train_model(dataset.folder, tmp_path / "run", recipe)
    told = " ".join(capsys.readouterr().out.split())
    assert "the validation after step 4 failed: KeyError: 'LAA'" in told
    entries = [e for e in read_journal(tmp_path / "run" / "metrics.jsonl") if e["split"] == "val"]
    assert [entry.get("error") for entry in entries] == ["KeyError: 'LAA'", None]
    assert len(losses(tmp_path / "run")) == 4


def test_a_full_disk_keeps_the_old_checkpoint_and_the_run(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = train_model(dataset.folder, tmp_path / "whole", RECIPE)
    saves: list[int] = []
    save = torch.save

    def failing(state: Any, path: Path) -> None:
        saves.append(state["progress"]["step"])
        if len(saves) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, path)

    monkeypatch.setattr(checkpoint.torch, "save", failing)
    trained = train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert saves == [3, 6, 8]
    assert "No space left on device" in capsys.readouterr().out
    assert not list((tmp_path / "run").glob(".unfinished-*"))
    assert_close(whole.network.state_dict(), trained.network.state_dict())

    monkeypatch.setattr(checkpoint.torch, "save", save)
    nothing_left = os.statvfs_result((4096, 4096, 10, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: nothing_left)
    with pytest.raises(OSError, match=r"MB needed, 0 free"):
        train_model(dataset.folder, tmp_path / "full", RECIPE, stop_after=2)
    assert not (tmp_path / "full" / "checkpoint.pt").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_asks_to_be_started_again(
    number: signal.Signals, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop._Training._step

    def signalled(self: Any, at: int, parts: Any) -> Any:
        if at == 4:
            os.kill(os.getpid(), number)
        return step(self, at, parts)

    monkeypatch.setattr(loop._Training, "_step", signalled)
    with pytest.raises(StoppedError, match=f"stopped by {number.name} after step 5") as raised:
        train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert raised.value.by_hand == (number == signal.SIGINT)
    assert signal.getsignal(number) is (
        signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    )
    monkeypatch.setattr(loop._Training, "_step", step)
    train_model(dataset.folder, tmp_path / "run", RECIPE, resume=True)
    train_model(dataset.folder, tmp_path / "whole", RECIPE)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_the_exit_status_of_a_stopped_run(
    number: signal.Signals, status: int, dataset: DataSet, tmp_path: Path
) -> None:
    endless = RECIPE.changed({"training": {"steps": 100_000, "checkpoint_every": 1000}}, "")
    with subprocess.Popen(
        command(dataset, tmp_path / "run", endless), env=ENVIRONMENT, stderr=subprocess.PIPE
    ) as process:
        journal = tmp_path / "run" / "metrics.jsonl"
        assert wait_until(lambda: journal.exists() and journal.read_text())
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == status
    assert b"go on with --resume" in told
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_run_killed_at_any_moment_goes_on(dataset: DataSet, tmp_path: Path) -> None:
    """Ten times, many of them within a save; what is there can always be resumed."""
    recipe = RECIPE.changed({"training": {"steps": 100_000, "checkpoint_every": 1}}, "")
    out, dice = tmp_path / "run", random.Random(0)
    reached = 0
    for attempt in range(10):
        options = ["--resume"] if (out / "checkpoint.pt").exists() else []
        with subprocess.Popen(
            command(dataset, out, recipe, *options), env=ENVIRONMENT, stdout=subprocess.DEVNULL
        ) as process:
            before = (out / "checkpoint.pt").stat().st_mtime_ns if options else 0
            assert wait_until(
                lambda before=before: (
                    (out / "checkpoint.pt").exists()
                    and (out / "checkpoint.pt").stat().st_mtime_ns > before
                )
            ), attempt
            time.sleep(dice.uniform(0, 0.2))
            process.kill()
        state = torch.load(out / "checkpoint.pt", weights_only=True)
        assert state["progress"]["step"] > reached
        reached = state["progress"]["step"]
    train_model(dataset.folder, out, recipe, resume=True, stop_after=reached + 1)
    assert not list(out.glob(".unfinished-*"))


def test_a_loss_that_is_no_number_names_its_hearts(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Draws.batch

    def poisoned(self: Draws, number: int) -> Any:
        batch = draw(self, number)
        if number == 3:
            batch.near[1] = torch.nan
        return batch

    monkeypatch.setattr(Draws, "batch", poisoned)
    with pytest.raises(DivergedError) as raised:
        train_model(dataset.folder, tmp_path / "run", RECIPE)
    draws = Draws(dataset, dataset.of_split("train"), RECIPE.draws, None, 32, RECIPE.training.seed)
    hearts = ", ".join(draws.names(3, 1, 1))
    assert f"step 3: the loss is nan, its gradient's norm nan; it saw {hearts}" in str(raised.value)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert saved["progress"]["step"] == 3


def test_two_runs_do_not_share_a_folder(dataset: DataSet, tmp_path: Path) -> None:
    with only_writer(tmp_path / "run"), pytest.raises(InputError, match="another run is writing"):
        train_model(dataset.folder, tmp_path / "run", RECIPE)


def test_learning_rates_follow_the_hearts_of_a_step() -> None:
    spec = replace(RECIPE.optimizer, muon_lr=0.004, adamw_lr=0.002, per_hearts=256)
    assert spec.peak_rates(64) == pytest.approx([0.001, 0.0005])
    assert replace(spec, per_hearts=None).peak_rates(64) == [0.004, 0.002]
