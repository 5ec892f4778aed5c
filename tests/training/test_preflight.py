"""Checks before a run's first step."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.runs import RECIPE

from vecsetx.commands import train as train_command
from vecsetx.commands.train import LogOptions, check_training, train_model
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.training.memory import StepMemory
from vecsetx.training.preflight import check_state_fits, check_step_fits, preflight
from vecsetx.training.step import Stepper
from vecsetx.training.step_spec import StepSpec


@pytest.mark.usefixtures("all_trial_steps")
def test_a_preflight_leaves_nothing_behind(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = count_steps(monkeypatch)
    out, recipe = tmp_path / "run", RECIPE.changed({"model": {"width": 128}}, "")
    with train_command._ready(dataset.folder, out, recipe, False, None, LogOptions()) as session:
        training = session.training
        torch.manual_seed(recipe.training.seed)
        fresh = recipe.model.build(len(dataset.structures)).state_dict()
        tried.clear()
        found = preflight(training)
        assert len(tried) == 3
        model = training.run.model
        assert all(torch.equal(weight, fresh[name]) for name, weight in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
    train_model(dataset.folder, out, recipe)
    assert len(tried) == 6
    kept = [out / "checkpoint.pt", out / "checkpoint.pt", *(3 * [out / "model/model.safetensors"])]
    really = sum(file.stat().st_size for file in kept)
    assert 0.9 * really < found.room_bytes < 1.1 * really


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets an item at every trial step."""
    monkeypatch.setattr("vecsetx.training.preflight._LONG_S", math.inf)  # also on a slow machine
    tried, real = [], Stepper.try_step

    def counted(self: Stepper, *batches: object) -> None:
        tried.append(1)
        real(self, *batches)

    monkeypatch.setattr(Stepper, "try_step", counted)
    return tried


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "auto"), (False, "fp32")])
def test_a_step_of_a_large_model_is_held_against_the_memory(
    has_bf16: bool,
    precision: str,
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is measured as it would run: in bfloat16 where the processor has that."""
    monkeypatch.setattr("vecsetx.training.ranks._has_bf16", lambda _: has_bf16)
    recipe = RECIPE.changed({"training": {"precision": "auto"}}, "test")
    step = recipe.step(10)
    gb, there = 10**9, "vecsetx.training.preflight.machine_bytes"
    fixed, per_heart = np.array([[3 * gb, 0, 0, 0, 0, 0]]), np.array([[0, 0, 0, gb, 0, 0]])
    memory = StepMemory(5, fixed, per_heart)
    measured: list[str] = []

    def measure(step: StepSpec) -> StepMemory:
        measured.append(step.training.precision)
        return memory

    monkeypatch.setattr("vecsetx.training.memory.measure", measure)
    monkeypatch.setattr(there, lambda: 5 * gb - 1)
    cpu = torch.device("cpu")
    check_step_fits(step, cpu)  # too small to be looked at
    monkeypatch.setattr("vecsetx.training.preflight._LARGE", 1000)
    check_step_fits(step, torch.device("cuda"))  # which reports itself what it lacks
    assert measured == []
    told = (
        r"hearts 2: a step takes about 5.00 GB, this machine has 5.00 GB; train on a GPU, or lower "
    )
    with pytest.raises(InputError, match=rf"{told}batch\.hearts to 1 at most \(see vecsetx plan\)"):
        check_training(dataset.folder, tmp_path / "run", recipe, False, None, LogOptions())
    assert not (tmp_path / "run").exists()
    assert measured == [precision]
    monkeypatch.setattr(there, lambda: 5 * gb)
    check_step_fits(step, cpu)
    monkeypatch.setattr(there, lambda: 3 * gb)
    with pytest.raises(InputError, match=r"train on a GPU \(see vecsetx plan\)"):
        check_step_fits(step, cpu)


def test_preflight_finds_what_is_not_in_order(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [dataset.folder, tmp_path / "run", RECIPE, False, None, LogOptions()]
    check_training(*arguments)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    full = shutil._ntuple_diskusage(10**9, 10**9, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match="make room, or choose another --out"):
        check_training(*arguments)
    monkeypatch.undo()

    def too_large(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more")

    monkeypatch.setattr(Stepper, "try_step", too_large)
    with pytest.raises(InputError, match=r"batch.hearts 2: a step does not fit .*Tried to allo"):
        check_training(*arguments)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"model": {"width": 32768, "layers": 256}},
            r"the weights alone take [\d,]{5,} GB, this machine has [\d,.]+ GB; lower model.width",
        ),
        (
            {"batch": {"hearts": 65536, "points": 2**22}},
            r"the embedding of the points alone takes 17,592 GB, .* raise training.passes",
        ),
    ],
)
def test_what_exceeds_the_memory_is_refused_before_it_is_taken(
    changes: dict[str, dict[str, int]], told: str, dataset: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        check_training(
            dataset.folder, tmp_path, RECIPE.changed(changes, ""), False, None, LogOptions()
        )
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_holds_the_optimizers_state_beside_a_step() -> None:
    check_state_fits(10 * 10**9, 6 * 10**9, 16 * 10**9, 8)
    told = r"batch.hearts 8: a step takes 10.0 GB and the optimizers' state 7.00 GB, the GPU has 16"
    with pytest.raises(InputError, match=told):
        check_state_fits(10 * 10**9, 7 * 10**9, 16 * 10**9, 8)
