"""What happens to a run: ranks and passes, faults, signals."""

import errno
import os
import random
import shutil
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
from support.runs import RECIPE, losses, weights
from support.small_files import files_of_at_most

from vecsetx.commands import train as train_command
from vecsetx.commands.train import LogOptions, see_all_in_order, train_model
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import DivergedError, InputError, StoppedError
from vecsetx.model.saved import TrainedModel
from vecsetx.recipe import Recipe
from vecsetx.training import checkpoint, loop
from vecsetx.training.journal import read_journal
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.preflight import preflight
from vecsetx.training.run import Validation
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.step import Stepper
from vecsetx.training.stopping import noticing_signals
from vecsetx.workers.lock import only_writer

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
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
    train_model(dataset.folder, tmp_path / "one", GRADIENTS.changed({"batch": {"hearts": 4}}, ""))
    passes = GRADIENTS.changed({"batch": {"hearts": 1}, "training": {"passes": 4}}, "")
    train_model(dataset.folder, tmp_path / "four", passes)
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "four"), rel=1e-5)
    assert_close(weights(tmp_path / "one"), weights(tmp_path / "four"))


def test_two_ranks_equal_one_with_twice_the_hearts(dataset: DataSet, tmp_path: Path) -> None:
    """With the gradient terms, validation and passes; the last rank draws other hearts."""
    validate = {"training": {"validate_every": 2}}
    four = GRADIENTS.changed({"batch": {"hearts": 4}}, "").changed(validate, "")
    train_model(dataset.folder, tmp_path / "one", four)
    parts = {"batch": {"hearts": 1}, "training": {"passes": 2}}
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
        def look(self, *_: object) -> float:
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
    monkeypatch.setattr(train_command, "make_validator", lambda *_: validator)
    kept = train_model(dataset.folder, tmp_path / "run", recipe)
    monkeypatch.setattr(train_command, "make_validator", lambda *_: validating([0.1, 0.2])())
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
    monkeypatch.setattr(train_command, "make_validator", lambda *_: validating([0.3, 0.9])())
    train_model(dataset.folder, tmp_path / "run", recipe, stop_after=4)
    best = weights(tmp_path / "run")
    monkeypatch.setattr(train_command, "make_validator", lambda *_: validating([0.5, 0.6])())
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
    monkeypatch.setattr(train_command, "make_validator", lambda *_: failing)
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

    def failing(state: Any, file: Any) -> None:
        saves.append(state["progress"]["step"])
        if len(saves) == 2:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file)

    monkeypatch.setattr(checkpoint.torch, "save", failing)
    trained = train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert saves == [3, 6, 8]
    assert "No space left on device" in capsys.readouterr().out
    assert not list((tmp_path / "run").glob(".unfinished-*"))
    assert_close(whole.network.state_dict(), trained.network.state_dict())

    monkeypatch.setattr(checkpoint.torch, "save", save)

    def full(*_: object) -> str:
        nothing_left = os.statvfs_result((4096, 4096, 10, 0, 0, 0, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _: nothing_left)
        return ""

    monkeypatch.setattr(train_command, "_tell", full)  # after the preflight
    with pytest.raises(OSError, match=r"MB needed, 0 free"):
        train_model(dataset.folder, tmp_path / "full", RECIPE, stop_after=2)
    assert not (tmp_path / "full" / "checkpoint.pt").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_asks_to_be_started_again(
    number: signal.Signals, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop.Training._step

    def signalled(self: Any, at: int, parts: Any) -> Any:
        if at == 4:
            os.kill(os.getpid(), number)
        return step(self, at, parts)

    monkeypatch.setattr(loop.Training, "_step", signalled)
    with pytest.raises(StoppedError, match=f"stopped by {number.name} after step 5") as raised:
        train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert raised.value.by_hand == (number == signal.SIGINT)
    assert signal.getsignal(number) is (
        signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    )
    monkeypatch.setattr(loop.Training, "_step", step)
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
            try:
                assert wait_until(
                    lambda before=before: (
                        (out / "checkpoint.pt").exists()
                        and (out / "checkpoint.pt").stat().st_mtime_ns > before
                    )
                ), attempt
                time.sleep(dice.uniform(0, 0.2))
            finally:
                process.kill()
        state = torch.load(out / "checkpoint.pt", weights_only=True)
        assert state["progress"]["step"] > reached
        reached = state["progress"]["step"]
    train_model(dataset.folder, out, recipe, resume=True, stop_after=reached + 1)
    assert not list(out.glob(".unfinished-*"))


def test_clusters_may_repeat_themselves_a_second_ctrl_c_ends() -> None:
    with noticing_signals() as request:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR1)
        assert request.signal in (signal.SIGTERM, signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_before_the_first_step_is_not_lost(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = OptimizerSpec.build

    def signalled(self: OptimizerSpec, model: Any) -> Any:
        os.kill(os.getpid(), signal.SIGUSR1)
        return build(self, model)

    monkeypatch.setattr(OptimizerSpec, "build", signalled)
    with pytest.raises(StoppedError, match="stopped by SIGUSR1 after step 1"):
        train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_signal_to_all_processes_leaves_data_workers_at_work(
    dataset: DataSet, tmp_path: Path
) -> None:
    """As a terminal's Ctrl-C and a cluster's scancel do it."""
    endless = RECIPE.changed({"training": {"steps": 100_000, "data_workers": 2}}, "")
    with subprocess.Popen(
        command(dataset, tmp_path / "run", endless),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        journal = tmp_path / "run" / "metrics.jsonl"
        assert wait_until(lambda: journal.exists() and journal.read_text())
        os.killpg(process.pid, signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 75, told
    assert b"stopped by SIGTERM" in told
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_what_the_first_rank_does_holds_for_all(tmp_path: Path) -> None:
    program = tmp_path / "ranks.py"
    program.write_text(
        """
import sys
from vecsetx.training.ranks import joined_ranks

def refuse():
    raise OSError(28, "No space left on device", "checkpoint.pt")

with joined_ranks() as ranks:
    assert ranks.on_first_rank(lambda: ranks.rank + 7) == 7
    try:
        ranks.on_first_rank(refuse)
    except OSError as error:
        with open(f"{sys.argv[1]}/{ranks.rank}", "w") as file:
            file.write(f"{error.filename}: {error.strerror}")
"""
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launch, program, tmp_path]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=120)
    told = [(tmp_path / rank).read_text() for rank in "01"]
    assert told == ["checkpoint.pt: No space left on device"] * 2


def test_all_ranks_stop_at_a_loss_that_is_no_number(dataset: DataSet, tmp_path: Path) -> None:
    wild = GRADIENTS.changed(
        {"optimizer": {"adamw_lr": 1e30}, "batch": {"hearts": 1}, "training": {"steps": 1000}}, ""
    )
    done = subprocess.run(
        command(dataset, tmp_path / "run", wild, ranks=2),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert len(losses(tmp_path / "run")) < 10
    assert all(heart in done.stderr for heart in ("it saw phantom", "vecsetx check")), done.stderr


FULL_DISK = """
set -e
mount -t tmpfs -o size=24m tmpfs "$1"
"$2" -m vecsetx train "$3" --out "$1/run" --config "$4" > "$5" 2>&1 &
until [ -e "$1/run/checkpoint.pt" ]; do kill -0 $!; sleep 0.05; done
cat /dev/zero > "$1/filler" 2> /dev/null || true
until grep -q "checkpoint.pt: not saved" "$5" && grep -q "metrics.jsonl: not written" "$5"; do
    kill -0 $!
    sleep 0.05
done
"$2" -c 'import sys, torch; torch.load(sys.argv[1], weights_only=True)' "$1/run/checkpoint.pt"
rm "$1/filler"
sleep 1
kill -INT $!
status=0
wait $! || status=$?
cp "$1/run/metrics.jsonl" "$6"
exit $status
"""


@pytest.mark.parametrize("room", [10, 5_000, 100_000, 1_000_000])
def test_whatever_a_save_had_written_it_says_why_it_failed(room: int, tmp_path: Path) -> None:
    """A file that may not grow: every write beyond fails, as on a disk that is full."""
    path = tmp_path / "checkpoint.pt"
    parts = {"model": torch.nn.Linear(600, 600)}
    progress = checkpoint.Progress(3, 1.0, {}, 0)
    checkpoint.save_checkpoint(path, parts, progress)
    before = path.read_bytes()
    with files_of_at_most(room), pytest.raises(OSError, match="File too large") as failed:
        checkpoint.save_checkpoint(path, parts, replace(progress, step=4))
    assert failed.value.filename == str(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_really_fills_up(dataset: DataSet, tmp_path: Path) -> None:
    """A small file system, filled while the run saves after every step, and emptied again."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here (unshare -rm)")
    often = {"steps": 100_000, "checkpoint_every": 1, "log_every": 1}
    *_, file = command(dataset, tmp_path / "run", RECIPE.changed({"training": often}, ""))
    (tmp_path / "small").mkdir()
    log, journal = tmp_path / "log", tmp_path / "metrics.jsonl"
    places = [tmp_path / "small", sys.executable, dataset.folder, file, log, journal]
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", FULL_DISK, "bash", *places],
        env=ENVIRONMENT,
        check=False,
        timeout=120,
    )
    told = log.read_text()
    assert done.returncode == 130, told
    assert "No space left on device" in told
    steps = [entry["step"] for entry in read_journal(journal)]
    assert steps == list(range(1, len(steps) + 1))


def test_a_loss_that_is_no_number_names_its_hearts(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop.Training._step

    def poisoned(self: Any, at: int, drawn: Any) -> Any:
        if at == 3:
            drawn.batches[0].near.points[1] = torch.nan
        return step(self, at, drawn)

    monkeypatch.setattr(loop.Training, "_step", poisoned)
    with pytest.raises(DivergedError) as raised:
        train_model(dataset.folder, tmp_path / "run", RECIPE)
    draws = TrainingBatches(
        dataset, dataset.of_split("train"), RECIPE.batch, None, RECIPE.training.seed
    )
    hearts = ", ".join(draws.names(3, 1, 1))
    assert f"step 3: the loss is nan, its gradient's norm nan; it saw {hearts}" in str(raised.value)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert saved["progress"]["step"] == 3


def test_two_runs_do_not_share_a_folder(dataset: DataSet, tmp_path: Path) -> None:
    with only_writer(tmp_path / "run"), pytest.raises(InputError, match="another run is writing"):
        train_model(dataset.folder, tmp_path / "run", RECIPE)


def damaging(
    monkeypatch: pytest.MonkeyPatch, data: Path, damages: dict[int, tuple[str, Any]]
) -> None:
    """Before some steps, have the file of a heart suffer something."""
    step = loop.Training._step

    def damaged(self: Any, at: int, drawn: Any) -> Any:
        if at in damages:
            heart, damage = damages[at]
            damage(data / "hearts" / f"{heart}.safetensors")
        return step(self, at, drawn)

    monkeypatch.setattr(loop.Training, "_step", damaged)


def truncate(file: Path) -> None:
    os.truncate(file, 5000)


def test_a_heart_lost_under_way_is_replaced_told_and_counted(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(dataset.folder, tmp_path / "data")
    first, second, *_ = (heart.name for heart in dataset.of_split("train"))
    damaging(monkeypatch, tmp_path / "data", {2: (first, Path.unlink), 5: (second, truncate)})
    recipe = RECIPE.changed({"training": {"steps": 12, "log_every": 1}}, "")
    train_model(tmp_path / "data", tmp_path / "run", recipe)
    told = " ".join(capsys.readouterr().out.split())
    assert told.count(f"{first} is left out from now on") == 1
    assert told.count(f"{second} is left out from now on") == 1
    counted = [len(e.get("lost", [])) for e in read_journal(tmp_path / "run" / "metrics.jsonl")]
    assert counted[:2] == [0, 0]
    assert counted == sorted(counted)
    assert counted[-1] == 2


def test_too_many_lost_hearts_end_the_run_which_can_go_on(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(dataset.folder, data)
    heart = dataset.of_split("train")[0]
    damaging(monkeypatch, data, {2: (heart.name, truncate)})
    recipe = RECIPE.changed({"training": {"max_lost_hearts": 0}}, "")
    with pytest.raises(InputError, match=f"1 hearts were lost .*{heart.name}.*--resume"):
        train_model(data, tmp_path / "run", recipe)
    monkeypatch.undo()
    shutil.copy(dataset.folder / heart.file, data / heart.file)
    train_model(data, tmp_path / "run", recipe, resume=True)


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


def test_a_preflight_leaves_nothing_behind(dataset: DataSet, tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", RECIPE.changed({"model": {"width": 128}}, "")
    with train_command._ready(dataset.folder, out, recipe, False, None, LogOptions()) as training:
        torch.manual_seed(recipe.training.seed)
        fresh = recipe.model.build(len(dataset.structures)).state_dict()
        found = preflight(training)
        model = training.run.model
        assert all(torch.equal(weight, fresh[name]) for name, weight in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
    train_model(dataset.folder, out, recipe)
    kept = [out / "checkpoint.pt", out / "checkpoint.pt", *(3 * [out / "model/model.safetensors"])]
    really = sum(file.stat().st_size for file in kept)
    assert 0.9 * really < found.room_bytes < 1.1 * really


def test_preflight_finds_what_is_not_in_order(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [dataset.folder, tmp_path / "run", RECIPE, False, None, LogOptions()]
    see_all_in_order(*arguments)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    full = shutil._ntuple_diskusage(10**9, 10**9, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match="make room, or choose another --out"):
        see_all_in_order(*arguments)
    monkeypatch.undo()

    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more")

    monkeypatch.setattr(Stepper, "try_step", too_large)
    with pytest.raises(InputError, match=r"batch.hearts 2: a step does not fit .*Tried to allo"):
        see_all_in_order(*arguments)


def test_learning_rates_follow_the_hearts_of_a_step() -> None:
    spec = replace(RECIPE.optimizer, muon_lr=0.004, adamw_lr=0.002, per_hearts=256)
    assert spec.peak_rates(64) == pytest.approx([0.001, 0.0005])
    assert replace(spec, per_hearts=None).peak_rates(64) == [0.004, 0.002]
