"""Signals that stop a run."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from support.forked import forked, run_command
from support.runs import ENVIRONMENT, RECIPE, command, losses
from support.waiting import LONGEST_SECONDS, wait_until

from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.errors import StoppedError
from vecsetx.recipe import Recipe
from vecsetx.training import loop
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.stopping import noticing_signals


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


@contextmanager
def training(dataset: DataSet, folder: Path, recipe: Recipe) -> Iterator[BaseProcess]:
    """The command ``train`` once it has done steps; afterwards it must end by itself."""
    _, _, _, *words = command(dataset, folder / "run", recipe)
    process = forked(run_command, list(map(str, words)), folder / "log")
    journal = folder / "run" / "metrics.jsonl"
    try:
        assert wait_until(lambda: journal.exists() and journal.read_text(), process.is_alive)
        yield process
        process.join(LONGEST_SECONDS)
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_the_exit_status_of_a_stopped_run(
    number: signal.Signals, status: int, dataset: DataSet, tmp_path: Path
) -> None:
    endless = RECIPE.changed({"training": {"steps": 100_000, "checkpoint_every": 1000}}, "")
    _, _, _, *words = map(str, command(dataset, tmp_path / "run", endless))
    with training(dataset, tmp_path, endless) as process:
        assert process.pid
        os.kill(process.pid, number)
    assert process.exitcode == status
    told = (tmp_path / "log").read_text().splitlines()[-1]
    again = "; Ctrl-C again stops now, without it" if number == signal.SIGINT else ""
    at_once = f"{number.name}: stopping after this step, with a checkpoint{again}"
    assert at_once in (tmp_path / "log").read_text()
    assert re.fullmatch(r"vecsetx: stopped by SIG\w+ after step \d+, which is saved; .*", told)
    assert told.endswith(f"type: {shlex.join(['vecsetx', *words, '--resume'])}")
    assert (tmp_path / "run" / "checkpoint.pt").exists()


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


def test_a_signal_to_all_processes_leaves_the_data_worker_at_work(
    dataset: DataSet, tmp_path: Path
) -> None:
    """As a terminal's Ctrl-C and a cluster's scancel do it."""
    endless = RECIPE.changed({"training": {"steps": 100_000, "data_workers": 1}}, "")
    with subprocess.Popen(
        command(dataset, tmp_path / "run", endless),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        journal = tmp_path / "run" / "metrics.jsonl"
        assert wait_until(
            lambda: journal.exists() and journal.read_text(), lambda: process.poll() is None
        )
        os.killpg(process.pid, signal.SIGTERM)
        _, told = process.communicate(timeout=LONGEST_SECONDS)
    assert process.returncode == 75, told
    assert b"stopped by SIGTERM" in told
    assert (tmp_path / "run" / "checkpoint.pt").exists()
