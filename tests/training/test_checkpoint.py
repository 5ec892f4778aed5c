"""Checkpoints: what is damaged is refused with its name, whatever the damage."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vecsetx.errors import InputError
from vecsetx.training.checkpoint import Progress, load_checkpoint, save_checkpoint

PROGRESS = Progress(7, 1.5, {"loss": 2.0}, 3, 0.25)


def test_a_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", {"model": nn.Linear(2, 3)}, PROGRESS, "run")
    assert load_checkpoint(tmp_path / "a.pt", {"model": nn.Linear(2, 3)}, "run") == PROGRESS


def test_flipped_bits_end_in_one_kind_of_error(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"model": nn.Linear(2, 3)}, PROGRESS, "run")
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    end = bytes(whole).index(b"PK\x03\x04", 4)  # the first member is the pickle
    rng = np.random.default_rng(0)
    said: list[str] = []
    for _ in range(300):
        damaged = whole.copy()
        damaged[rng.integers(64, end, 2)] ^= 1 << rng.integers(0, 8, 2, dtype=np.uint8)
        path.write_bytes(damaged.tobytes())
        try:
            load_checkpoint(path, {"model": nn.Linear(2, 3)}, "run")
        except InputError as error:
            said.append(str(error))
    assert len(said) > 100
    assert all(message.startswith(f"{path}: ") for message in said)


def test_progress_of_other_kinds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"model": nn.Linear(2, 3)}, PROGRESS, "run")
    path.write_bytes(path.read_bytes().replace(b"count", b"cOunt"))
    with pytest.raises(InputError, match=r"a\.pt: "):
        load_checkpoint(path, {"model": nn.Linear(2, 3)}, "run")


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", {"model": nn.Linear(2, 3)}, PROGRESS, "run")
    with pytest.raises(InputError, match="that of a run with another recipe or other data"):
        load_checkpoint(tmp_path / "a.pt", {"model": nn.Linear(2, 3)}, "another run")
    # One of an earlier version does not say which run's it is.
    state = torch.load(tmp_path / "a.pt")
    del state["run"]
    torch.save(state, tmp_path / "b.pt")
    assert load_checkpoint(tmp_path / "b.pt", {"model": nn.Linear(2, 3)}, "run") == PROGRESS
