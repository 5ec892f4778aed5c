"""What a run survives, and what ends it: kills, full disks, lost hearts, diverged losses."""

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
from support.forked import forked
from support.killed import MOMENTS, run_until_killed
from support.runs import ENVIRONMENT, RECIPE, assert_close, command, losses
from support.small_files import files_of_at_most
from support.waiting import LONGEST_SECONDS, wait_until

from vecsetx.commands import train as train_command
from vecsetx.commands.train import train_model
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import DivergedError, InputError
from vecsetx.training import checkpoint, loop
from vecsetx.training.journal import read_journal
from vecsetx.workers.lock import only_writer


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
    assert not list((tmp_path / "run").glob(".vecsetx-unfinished-*"))
    assert_close(whole.network.state_dict(), trained.network.state_dict())

    monkeypatch.setattr(checkpoint.torch, "save", save)

    def full(*_: object) -> list[str]:
        nothing_left = os.statvfs_result((4096, 4096, 10, 0, 0, 0, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _: nothing_left)
        return []

    monkeypatch.setattr(train_command, "summary", full)  # after the preflight
    with pytest.raises(OSError, match=r"MB needed, 0 free"):
        train_model(dataset.folder, tmp_path / "full", RECIPE, stop_after=2)
    assert not (tmp_path / "full" / "checkpoint.pt").exists()


def test_a_run_killed_at_chosen_moments_ends_as_if_it_had_not_been(
    dataset: DataSet, tmp_path: Path
) -> None:
    """Each kill leaves the last checkpoint whole; the run goes on from it to the same end."""
    often = {"checkpoint_every": 2, "validate_every": 6, "log_every": 1}
    recipe = RECIPE.changed({"training": often}, "")
    out = tmp_path / "run"
    for moment, reached in zip(MOMENTS, (2, 2, 4), strict=True):
        resume = (out / "checkpoint.pt").exists()
        process = forked(run_until_killed, dataset.folder, out, recipe, resume, moment)
        process.join(LONGEST_SECONDS)
        assert process.exitcode == -signal.SIGKILL, moment
        state = torch.load(out / "checkpoint.pt", weights_only=True)
        assert state["progress"]["step"] == reached, moment
        unfinished = list(out.glob(".vecsetx-unfinished-*"))
        assert len(unfinished) == (moment == "within a save"), moment
    assert torch.load(out / "best.pt", weights_only=True)["progress"]["step"] == 6
    resumed = train_model(dataset.folder, out, recipe, resume=True)
    whole = train_model(dataset.folder, tmp_path / "whole", recipe)
    assert losses(out) == losses(tmp_path / "whole")
    assert_close(whole.network.state_dict(), resumed.network.state_dict())
    assert not list(out.glob(".vecsetx-unfinished-*"))


@pytest.mark.slow
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
    assert not list(out.glob(".vecsetx-unfinished-*"))


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
cp "$1/run/checkpoint.pt" "$7"
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
    checkpoint.save_checkpoint(path, parts, progress, "run")
    before = path.read_bytes()
    with files_of_at_most(room), pytest.raises(OSError, match="File too large") as failed:
        checkpoint.save_checkpoint(path, parts, replace(progress, step=4), "run")
    assert failed.value.filename == str(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_disk_that_really_fills_up(dataset: DataSet, tmp_path: Path) -> None:
    """A small file system, filled while the run saves after every step, and emptied again."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here (unshare -rm)")
    often = {"steps": 100_000, "checkpoint_every": 1, "log_every": 1}
    *_, file = command(dataset, tmp_path / "run", RECIPE.changed({"training": often}, ""))
    (tmp_path / "small").mkdir()
    log, journal = tmp_path / "log", tmp_path / "metrics.jsonl"
    kept = tmp_path / "kept.pt"  # the checkpoint while the disk is full
    places = [tmp_path / "small", sys.executable, dataset.folder, file, log, journal, kept]
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", FULL_DISK, "bash", *places],
        env=ENVIRONMENT,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    told = log.read_text()
    assert done.returncode == 130, told
    assert "No space left on device" in told
    torch.load(kept, weights_only=True)
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
    with pytest.raises(InputError, match=f"1 heart was lost .*{heart.name}.*--resume"):
        train_model(data, tmp_path / "run", recipe)
    monkeypatch.undo()
    shutil.copy(dataset.folder / heart.file, data / heart.file)
    train_model(data, tmp_path / "run", recipe, resume=True)
