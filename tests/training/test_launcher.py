"""What a launcher says in the environment is checked before a run is joined."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from support.command_line import run

from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.launcher import Launch, is_first_rank, launched
from vecsetx.training.ranks import joined_ranks

WHOLE = {
    "WORLD_SIZE": "4",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


def test_a_place_in_a_run() -> None:
    assert launched(WHOLE) == Launch(rank=3, count=4, local=1)
    assert launched({**WHOLE, "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}) == Launch(0, 1, 0)
    without = {name: text for name, text in WHOLE.items() if name != "LOCAL_RANK"}
    assert launched(without) == Launch(3, 4, 0)
    assert not is_first_rank(WHOLE)
    assert is_first_rank({**WHOLE, "RANK": "0"})


@pytest.mark.parametrize(
    "alone", [{}, {"WORLD_SIZE": ""}, {"WORLD_SIZE": "1"}, {"LOCAL_RANK": "x"}]
)
def test_no_launcher(alone: dict[str, str]) -> None:
    assert launched(alone) is None
    assert is_first_rank(alone)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("WORLD_SIZE", "abc", "WORLD_SIZE is 'abc'"),
        ("WORLD_SIZE", "", "WORLD_SIZE is not set"),
        ("WORLD_SIZE", "-1", "WORLD_SIZE is '-1'"),
        ("WORLD_SIZE", "0", "WORLD_SIZE is '0'"),
        ("WORLD_SIZE", "1e3", "WORLD_SIZE is '1e3'"),
        ("WORLD_SIZE", "٤", "WORLD_SIZE is '\\u0664'"),
        ("RANK", "", "RANK is not set"),
        ("RANK", "4", "RANK is '4', not a whole number from 0 to 3"),
        ("LOCAL_RANK", "x", "LOCAL_RANK is 'x'"),
        ("LOCAL_RANK", "9", "LOCAL_RANK is '9'"),
        ("MASTER_PORT", "y", "MASTER_PORT is 'y'"),
        ("MASTER_PORT", "99999", "MASTER_PORT is '99999', not a whole number from 1 to 65535"),
        ("MASTER_ADDR", "", "MASTER_ADDR is not set"),
    ],
)
def test_environments_that_no_launcher_makes(name: str, text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        launched({**WHOLE, name: text})
    assert told in str(error.value)
    assert str(error.value).endswith("unset WORLD_SIZE and RANK to train in one process")


def test_train_refuses_such_an_environment_in_one_line(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    words = ("train", dataset.folder, "--out", tmp_path / "run", "--preset", "tiny")
    assert run(*words, monkeypatch=monkeypatch) == 2
    printed = capfd.readouterr().err.splitlines()
    assert printed == [
        "vecsetx: the environment names a run of several processes, but RANK is not set; start it "
        "with torchrun, or unset WORLD_SIZE and RANK to train in one process"
    ]
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    unheard = {**WHOLE, "RANK": "1", "MASTER_PORT": "1"}  # where nothing listens
    for name, text in unheard.items():
        monkeypatch.setitem(os.environ, name, text)
    monkeypatch.setattr("vecsetx.training.ranks._TIMEOUT", timedelta(seconds=1))
    told = r"^rank 1 of 4 cannot join the run at 127\.0\.0\.1:1 \(.*\); start all ranks"
    with pytest.raises(InputError, match=told), joined_ranks():
        pass
