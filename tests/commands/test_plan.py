"""The memory that is expected of a training step, and what is said of it."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.clock import Clock
from support.command_line import run
from support.runs import tensors_of
from support.shared import made_once

from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.model.attention import Attention
from vecsetx.model.vecset import ModelSpec
from vecsetx.terminal.progress_bars import console
from vecsetx.training.deadline import Deadline
from vecsetx.training.memory import (
    PARTS,
    StepMemory,
    measure,
    trace_faked_step,
    trace_step,
    zero_batch,
)
from vecsetx.training.meters import bytes_text, unit_of
from vecsetx.training.objective import ObjectiveSpec, objective
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.plan import Plan
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.step import Stepper
from vecsetx.training.step_spec import StepSpec

SMALL = StepSpec(
    model=ModelSpec(latents=16, width=32, heads=2, layers=1),
    batch=BatchSpec(points=64, surface=16, near=32, volume=16),
    objective=ObjectiveSpec(gradient_points=24),
    optimizer=OptimizerSpec(),
    training=TrainingSpec(precision="bf16"),
    structure_count=3,
)
GB = 1e9


def step_of(eikonal: bool, recompute: bool) -> StepSpec:
    return replace(
        SMALL,
        objective=replace(SMALL.objective, eikonal=0.1 * eikonal),
        training=replace(SMALL.training, recompute=recompute),
    )


def most_kept(step: StepSpec) -> int:
    return trace_step(step, 2)[:, PARTS.index("activations kept")].max()


def measured(folder: Path) -> None:
    """With real tensors: those without contents are as large, and take fifteen times as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vecsetx.training.memory.trace_faked_step", trace_step)
        found = measure(step_of(eikonal=True, recompute=False))
    folder.mkdir()
    np.savez(folder / "memory.npz", **asdict(found))


@pytest.fixture(scope="module")
def memory() -> StepMemory:
    with np.load(made_once("step_memory", measured) / "memory.npz") as found:
        return StepMemory(int(found["parameters"]), found["fixed"], found["per_heart"])


@pytest.mark.parametrize(
    ("eikonal", "recompute"),
    [
        (False, False),
        pytest.param(True, False, marks=pytest.mark.slow),
        pytest.param(True, True, marks=pytest.mark.slow),
    ],
)
def test_tensors_without_contents_take_what_real_ones_take(eikonal: bool, recompute: bool) -> None:
    step = step_of(eikonal, recompute)
    faked, real = trace_faked_step(step, 3), trace_step(step, 3)
    np.testing.assert_array_equal(faked.max(axis=0), real.max(axis=0))
    assert faked.sum(axis=1).max() == real.sum(axis=1).max()


@pytest.mark.parametrize("hidden", ["muon", "adamw"])
def test_weights_gradients_and_state_by_their_own_sizes(hidden: str) -> None:
    step = replace(SMALL, optimizer=OptimizerSpec(hidden=hidden))
    most = dict(zip(PARTS, trace_step(step, 2).max(axis=0), strict=True))
    model = step.model.build(step.structure_count)
    optimizers = step.optimizer.build(model)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    state = sum(
        value.nbytes
        for optimizer in optimizers
        for values in optimizer.state.values()
        for value in values.values()
    )
    assert most["weights"] == weights + sum(buffer.nbytes for buffer in model.buffers())
    assert most["gradients"] == weights
    assert most["optimizer state"] == state


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("eikonal", [False, True])
def test_what_is_kept_is_what_autograd_saves(eikonal: bool, recompute: bool) -> None:
    """In single precision, where no copies of weights are made and norms are as on GPUs."""
    step = step_of(eikonal, recompute)
    step = replace(step, training=replace(step.training, precision="fp32"))
    model = step.model.build(step.structure_count).train()
    model.recompute = recompute
    batch = zero_batch(step.batch, 2, step.structure_count)
    anchors = torch.zeros(2, step.model.anchors, dtype=torch.int64)
    others = [
        anchors,
        *model.parameters(),
        *model.buffers(),
        *tensors_of(batch).values(),
    ]
    known = {tensor.untyped_storage().data_ptr() for tensor in others}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss, terms = objective(model, batch, step.objective, anchors=anchors)
    scalars = loss.nbytes + sum(term.nbytes for term in terms.values())  # which the loop holds
    assert most_kept(step) == sum(saved.values()) + scalars


def test_memory_is_linear_in_the_hearts_at_every_moment(memory: StepMemory) -> None:
    """Measured with two and three hearts, and seven."""
    real = trace_step(step_of(eikonal=True, recompute=False), 7)
    assert sum(memory.peak(7).values()) == real.sum(axis=1).max()
    assert list(memory.most(7).values()) == real.max(axis=0).tolist()
    assert memory.kept_per_heart() > 0


def test_recomputation_keeps_less_and_gradients_nothing() -> None:
    kept, recomputed, without = (
        most_kept(step_of(eikonal, recompute))
        for eikonal, recompute in ((True, False), (True, True), (False, False))
    )
    assert 4 * recomputed < kept
    assert kept < 1.05 * without


def test_norms_keep_single_precision_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    as_on_gpus = most_kept(SMALL)

    def imitate_attention(model: torch.nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, Attention):
                module.in_half = True

    monkeypatch.setattr("vecsetx.training.memory.imitate_gpu", imitate_attention)
    surface_points = 2 * SMALL.batch.points * SMALL.model.width  # in half precision from the start
    assert as_on_gpus >= most_kept(SMALL) + 4 * surface_points


def test_the_largest_batch_fits_and_no_larger_one(memory: StepMemory) -> None:
    for limit in (sum(memory.peak(hearts).values()) + 1.0 for hearts in (1, 2, 50)):
        most = memory.largest_batch(limit)
        assert sum(memory.peak(most).values()) <= limit < sum(memory.peak(most + 1).values())
    assert memory.largest_batch(sum(memory.peak(1).values()) - 1.0) == 0


def test_zeros_have_the_shapes_and_types_of_a_drawn_batch(dataset: DataSet) -> None:
    hearts = dataset.of_split("train")
    drawn = TrainingBatches(dataset, hearts, replace(SMALL.batch, hearts=1), None, seed=0).batch(0)
    zeros = zero_batch(SMALL.batch, 1, len(dataset.structures))
    for name, one in tensors_of(drawn).items():
        other = tensors_of(zeros)[name]
        assert (one.shape, one.dtype) == (other.shape, other.dtype), name


def plan_of(kept_gb: float, recomputed_gb: float, recompute: bool = False) -> Plan:
    """A plan of 10 hearts that take so many GB each, and nothing else."""

    def memory(gb: float) -> StepMemory:
        per_heart = np.zeros((1, len(PARTS)), np.int64)
        per_heart[0, PARTS.index("activations kept")] = round(gb * GB)
        return StepMemory(1, np.zeros_like(per_heart), per_heart)

    return Plan(10, recompute, memory(kept_gb), memory(recomputed_gb))


def test_totals_and_verdicts_by_hand() -> None:
    plan = plan_of(2.0, 1.0)
    assert plan.total(False) == pytest.approx(1.05 * 20 * GB + 1 * GB)
    assert plan.largest_batch(False, 40 * GB) == 18  # 1.05 · 2 · 18 + 1 = 38.8
    assert plan.verdict(40 * GB) == "fits as it is (training.recompute=false): 22.0 GB of 40"
    assert plan.verdict(12 * GB) == "fits with training.recompute=true: 11.5 GB of 12"
    assert "batch.hearts=8" in plan.verdict(10 * GB)
    assert "not even one heart" in plan.verdict(2 * GB)
    asked = plan_of(2.0, 1.0, recompute=True)
    assert asked.verdict(12 * GB) == "fits as it is (training.recompute=true): 11.5 GB of 12"


@pytest.fixture
def measured_once(monkeypatch: pytest.MonkeyPatch, memory: StepMemory) -> None:
    """Measure a step once for all tests to which its memory means nothing: it takes seconds."""
    monkeypatch.setattr("vecsetx.commands.plan.measure", lambda _: memory)


ONE_LAYER = ("model.width=32", "model.layers=1", "training.passes=2", "training.steps=1200")
FEW_POINTS = ("batch.points=256", "batch.surface=32", "batch.near=64", "batch.volume=32")


def test_plan_prints_and_writes_nothing(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With real tensors, as in :func:`measured`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "_width", 160)
    monkeypatch.setattr("vecsetx.training.memory.trace_faked_step", trace_step)
    before = {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*")}
    words = (*ONE_LAYER, *FEW_POINTS, "--gpu-gb", 8)
    assert run("plan", dataset.folder, *words, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "4 hearts per step: fits as it is" in printed
    for part in (*PARTS, "fragmentation", "kept per heart", "largest batch in 8 GB"):
        assert part in printed
    assert "0.00" not in printed
    table = printed.partition("A step of")[2].partition("heart per step")[0]
    assert set(re.findall(r"\d ([kM]?B)\b", table)) == {"MB"}  # 1 GB is said in headings
    assert {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*")} == before
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("measured_once")
def test_plan_tells_the_time_of_a_run_by_the_fastest_step_after_warming_up(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, takes = Clock(), [4.0, 6.0, 0.25, 4.0]

    def try_step(*_: object) -> None:
        clock.now += takes.pop(0)

    monkeypatch.setattr("vecsetx.training.preflight.time", clock)
    monkeypatch.setattr(Stepper, "try_step", try_step)
    assert run("plan", dataset.folder, *ONE_LAYER, *FEW_POINTS, monkeypatch=monkeypatch) == 0
    printed = " ".join(capsys.readouterr().out.split())
    expected = "at most about 40 min for 1200 steps of 8 hearts, 2 s each, measured now"
    assert f"time on this machine: {expected}" in printed
    assert printed.index("timing steps of one heart") < printed.index(expected)
    assert not takes


@pytest.mark.usefixtures("measured_once")
def test_plan_tries_no_step_for_long(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit ends real operations, of the backward pass, too."""
    began: list[str] = []

    def backward(*arguments: object, real=torch.Tensor.backward, **options: object) -> None:
        began.append("backward")
        deadline._end = 0.0
        try:
            real(*arguments, **options)
        finally:
            began.append("ended")

    deadline = Deadline(3600.0)
    monkeypatch.setattr("vecsetx.commands.plan.Deadline", lambda _: deadline)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    assert run("plan", dataset.folder, *ONE_LAYER, *FEW_POINTS, monkeypatch=monkeypatch) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert began == ["backward", "ended"]
    assert "a step of even one heart takes more than 20 s here, and the run has 1200" in printed


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (64_400, "64 kB"), (1_049_000, "1.05 MB"), (99.9e6, "99.9 MB"),
        (999e6, "999 MB"), (1e9, "1.00 GB"), (9.99e9, "9.99 GB"), (62.74e9, "62.7 GB"),
        (2.5e12, "2,500 GB"),
    ],
)  # fmt: skip
def test_sizes_have_the_unit_that_shows_them(size: int | float, text: str) -> None:
    assert bytes_text(size) == text
    assert bytes_text(size, unit_of(size)) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 MB"), (20, "<0.01 MB"), (665_000, "0.67 MB"), (98.1e6, "98.1 MB"), (1.1e9, "1,100 MB")],
)
def test_sizes_of_one_table_share_a_unit(size: int | float, text: str) -> None:
    assert bytes_text(size, "MB") == text


@pytest.mark.usefixtures("measured_once")
def test_plan_tells_why_the_time_is_not_known(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("plan", dataset.folder, *ONE_LAYER)
    assert run(*small, monkeypatch=monkeypatch) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "time on this machine: unknown, as training cannot start: " in printed
    assert "2000 surface points" in printed
    monkeypatch.setattr("vecsetx.commands.plan._memory_bytes", lambda: 1e6)
    assert run(*small, *FEW_POINTS, monkeypatch=monkeypatch) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "unknown, as it has too little memory for a step of even one heart" in printed


def test_training_needs_a_folder(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", dataset.folder, monkeypatch=monkeypatch) == 2
    assert "--out" in capsys.readouterr().err
