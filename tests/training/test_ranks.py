"""A run on several ranks."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.forked import run_ranks
from support.ranks import ask_the_first, fail_as_command
from support.runs import ENVIRONMENT, GRADIENTS, assert_close, command, losses, weights
from support.waiting import LONGEST_SECONDS, wait_until

from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.training.journal import read_journal


def test_two_ranks_equal_one_with_twice_the_hearts(dataset: DataSet, tmp_path: Path) -> None:
    """With the gradient terms, validation and passes; the last rank draws other hearts."""
    validate = {"training": {"validate_every": 2}}
    four = GRADIENTS.changed({"batch": {"hearts": 4}}, "").changed(validate, "")
    train_model(dataset.folder, tmp_path / "one", four)
    parts = {"batch": {"hearts": 1}, "training": {"passes": 2}}
    recipe = GRADIENTS.changed(parts, "").changed(validate, "")
    run_ranks(2, train_model, dataset.folder, tmp_path / "two", recipe)
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "two"), rel=1e-5)
    assert_close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    scores = [
        [e["grid_dice"] for e in read_journal(tmp_path / run / "metrics.jsonl") if "grid_dice" in e]
        for run in ("one", "two")
    ]
    assert len(scores[0]) == 2
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


@pytest.mark.slow  # torchrun and both ranks each import PyTorch
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
            assert process.wait(LONGEST_SECONDS) != 0
            survivors = ["pgrep", "-g", str(process.pid)]
            assert wait_until(lambda: subprocess.run(survivors, check=False).returncode == 1)
        finally:
            subprocess.run(["pkill", "-9", "-g", str(process.pid)], check=False)
    train_model(dataset.folder, tmp_path / "run", endless, resume=True, stop_after=1)


def test_what_the_first_rank_does_holds_for_all(tmp_path: Path) -> None:
    run_ranks(2, ask_the_first, tmp_path)
    told = [(tmp_path / rank).read_text() for rank in "01"]
    assert told == ["checkpoint.pt: No space left on device"] * 2


def test_all_ranks_stop_at_a_loss_that_is_no_number(dataset: DataSet, tmp_path: Path) -> None:
    wild = GRADIENTS.changed(
        {
            "optimizer": {"adamw_lr": 100, "muon_lr": 100},
            "batch": {"hearts": 1},
            "training": {"steps": 1000},
        },
        "",
    )
    _, _, _, *words = command(dataset, tmp_path / "run", wild)
    run_ranks(2, fail_as_command, list(map(str, words)), tmp_path)
    assert len(losses(tmp_path / "run")) < 10
    for rank in "01":
        said = (tmp_path / rank).read_text()
        assert all(words in said for words in ("it saw phantom", "vecsetx check")), said
