import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import yaml
from support.runs import RECIPE, losses, parts_of, weights

from vecsetx.commands.train import train_model
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import DivergedError, InputError
from vecsetx.model.vecset import ModelSpec
from vecsetx.recipe import parse_overrides, read_changes
from vecsetx.training.journal import read_journal
from vecsetx.training.muon import Muon, orthogonalized
from vecsetx.training.objective import (
    ObjectiveSpec,
    distance_error,
    gradient_norms,
    inside_error,
    loss_masks,
    objective,
)
from vecsetx.training.optimizer import OptimizerSpec, parameter_groups, rate_share


def test_the_same_seed_gives_the_same_losses(dataset: DataSet, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train_model(dataset.folder, tmp_path / name, RECIPE)
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    other = replace(RECIPE, training=replace(RECIPE.training, seed=1))
    train_model(dataset.folder, tmp_path / "three", other)
    assert losses(tmp_path / "one") != losses(tmp_path / "three")


@pytest.mark.parametrize("stop", [3, 5])
def test_stopped_and_resumed_equals_uninterrupted(
    dataset: DataSet, tmp_path: Path, stop: int
) -> None:
    train_model(dataset.folder, tmp_path / "whole", RECIPE)
    train_model(dataset.folder, tmp_path / "parts", RECIPE, stop_after=stop)
    train_model(dataset.folder, tmp_path / "parts", RECIPE, resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    journals = [read_journal(tmp_path / run / "metrics.jsonl") for run in ("whole", "parts")]
    timing = dict.fromkeys(("seconds", "waiting", "hearts_per_second", "memory_gb"), 0)
    assert [{**e, **timing} for e in journals[0]] == [{**e, **timing} for e in journals[1]]


def test_a_run_is_not_overwritten_nor_resumed_with_another_recipe(
    dataset: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no run to resume"):
        train_model(dataset.folder, tmp_path / "run", RECIPE, resume=True)
    train_model(dataset.folder, tmp_path / "run", RECIPE, stop_after=2)
    with pytest.raises(InputError, match="already contains a run"):
        train_model(dataset.folder, tmp_path / "run", RECIPE)
    smaller = replace(dataset, folder=tmp_path / "other", hearts=dataset.hearts[1:])
    shutil.copytree(dataset.folder, smaller.folder)
    smaller.write()
    with pytest.raises(InputError, match="other hearts"):
        train_model(smaller.folder, tmp_path / "run", RECIPE, resume=True)
    other = RECIPE.changed({"model": {"layers": 2}, "training": {"steps": 20, "seed": 1}}, "")
    differences = r"another recipe \(model\.layers 1, now 2, training\.seed 0, now 1\)"
    with pytest.raises(InputError, match=differences):
        train_model(dataset.folder, tmp_path / "run", other, resume=True)
    other = other.changed({"model": {"width": 64, "latents": 16}}, "")
    with pytest.raises(InputError, match=r"layers 1, now 2, and 1 more\); resume with the"):
        train_model(dataset.folder, tmp_path / "run", other, resume=True)


def test_a_run_validates_on_the_grid_of_unseen_hearts(dataset: DataSet, tmp_path: Path) -> None:
    recipe = replace(RECIPE, training=replace(RECIPE.training, validate_every=4))
    train_model(dataset.folder, tmp_path / "run", recipe)
    validations = [
        e for e in read_journal(tmp_path / "run" / "metrics.jsonl") if e["split"] == "val"
    ]
    assert [entry["step"] for entry in validations] == [4, 8]
    assert all(0 <= entry["grid_dice"] <= 1 for entry in validations)


def test_learning_lowers_the_loss(dataset: DataSet, tmp_path: Path) -> None:
    recipe = replace(RECIPE, training=replace(RECIPE.training, steps=60, log_every=10))
    train_model(dataset.folder, tmp_path / "run", recipe)
    course = losses(tmp_path / "run")
    assert course[-1] < 0.8 * course[0]


def test_a_loss_that_is_no_number_ends_the_run(dataset: DataSet, tmp_path: Path) -> None:
    wild = replace(RECIPE, objective=ObjectiveSpec(near=float("inf")))
    with pytest.raises(DivergedError, match="the loss is"):
        train_model(dataset.folder, tmp_path / "run", wild)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_damaged_checkpoint_is_named(dataset: DataSet, tmp_path: Path) -> None:
    train_model(dataset.folder, tmp_path / "run", RECIPE, stop_after=2)
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    for damaged in (b"garbage", whole[: len(whole) // 2], b""):
        checkpoint.write_bytes(damaged)
        with pytest.raises(InputError, match=r"checkpoint\.pt"):
            train_model(dataset.folder, tmp_path / "run", RECIPE, resume=True)


def test_training_in_bfloat16_learns_too(dataset: DataSet, tmp_path: Path) -> None:
    recipe = replace(RECIPE, training=replace(RECIPE.training, precision="bf16"))
    train_model(dataset.folder, tmp_path / "run", recipe)
    course = losses(tmp_path / "run")
    assert np.isfinite(course).all()
    assert course[-1] < course[0]


EVERY_TERM = ObjectiveSpec(eikonal=0.1, normal=0.1)
CHOICES: dict[str, dict[str, dict[str, object]]] = {
    "anchored": {},
    "point queries": {"model": {"queries": "point"}},
    "learnable queries": {"model": {"queries": "learnable"}},
    "union and logits": {"model": {"field": "union"}},
    "no normals": {"model": {"normals": False}},
    "no bottleneck": {"model": {"bottleneck": "none"}},
    "KL bottleneck": {"model": {"bottleneck": "kl"}},
    "AdamW alone": {"optimizer": {"hidden": "adamw"}},
    "recomputation": {"training": {"recompute": True}},
    "bf16": {"training": {"precision": "bf16"}},
    "everything": {
        "model": {"queries": "point", "field": "union", "bottleneck": "kl", "normals": False},
        "training": {"recompute": True, "precision": "bf16", "gradient_norms_every": 1},
    },
}


IN_EVERYTHING = {
    "point queries",
    "union and logits",
    "no normals",
    "KL bottleneck",
    "recomputation",
}
"""Choices that "everything" makes, too; alone they tell which of them is wrong."""


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(name, marks=pytest.mark.slow if name in IN_EVERYTHING else ())
        for name in CHOICES
    ],
)
def test_every_choice_trains_two_steps_and_goes_on(
    choice: str, dataset: DataSet, tmp_path: Path
) -> None:
    gradients = {"objective": {"eikonal": 0.1, "normal": 0.1, "gradient_points": 24}}
    steps = {"training": {"steps": 2, "log_every": 1, "checkpoint_every": 1}}
    recipe = RECIPE.changed(gradients, "").changed(steps, "").changed(CHOICES[choice], choice)
    train_model(dataset.folder, tmp_path / "whole", recipe)
    train_model(dataset.folder, tmp_path / "parts", recipe, stop_after=1)
    train_model(dataset.folder, tmp_path / "parts", recipe, resume=True)
    whole = losses(tmp_path / "whole")
    assert len(whole) == 2
    assert np.isfinite(whole).all()
    assert losses(tmp_path / "parts") == whole
    first, second = (weights(tmp_path / name) for name in ("whole", "parts"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_learn_the_same(dataset: DataSet, tmp_path: Path) -> None:
    changes = RECIPE.changed({"training": {"steps": 3, "log_every": 1}}, "").to_dict()
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(changes))
    # Elsewhere, as the compiler cannot read the checks of shapes that the tests switch on.
    program = [sys.executable, "-c", "from vecsetx.cli import main; main()", "train"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    for name, compiled in (("plain", "false"), ("compiled", "true")):
        options = ["--out", tmp_path / name, "--config", tmp_path / "recipe.yaml"]
        command = [*program, dataset.folder, f"training.compile={compiled}", *options]
        subprocess.run(command, check=True, env=environment)
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)


@pytest.mark.parametrize("form", ["distances", "union"])
def test_what_is_not_known_carries_no_loss(
    form: Literal["distances", "union"], dataset: DataSet
) -> None:
    """Neither structures that are not annotated nor distances that are only bounds."""
    draws = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0)
    batch = draws.batch(0)
    for group in batch.queries.values():
        group.known[0, :, 4] = -torch.inf
        group.known[1, ::2] = -0.01
    torch.manual_seed(0)
    model = replace(RECIPE.model, field=form).build(10)
    before, terms = objective(model, batch, EVERY_TERM)
    assert set(terms) == {"surface", "near", "volume", "inside", "eikonal", "normal"}
    for group in batch.queries.values():
        distances = group.distances
        if form == "distances":
            distances[0, :, 4] = torch.randn_like(distances[0, :, 4])
        else:  # of a union one of whose parts is not known, no distance is
            distances[0] += 0.001 * torch.where(distances[0] < 0, -1, 1)
        distances[1, ::2] = torch.randn_like(distances[1, ::2])
    after, _ = objective(model, batch, EVERY_TERM)
    assert torch.equal(before, after)


@pytest.mark.parametrize("form", ["distances", "union"])
def test_what_is_hidden_counts_as_much_as_it_is_told_to(
    form: Literal["distances", "union"], dataset: DataSet
) -> None:
    """Errors of the one structure of which the one heart shows nothing, and no others.

    What a teacher says of it counts in full.
    """
    batch = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0).batch(0)
    hidden = batch.structure[0] == 4
    shown = int((~hidden).nonzero()[0])
    for group in (batch.points, batch.structure, batch.normals):
        group[0, hidden] = group[0, shown].clone()
    torch.manual_seed(0)
    model = replace(RECIPE.model, field=form).build(10)
    loss_masks = {
        weight: objective(model, batch, replace(EVERY_TERM, inferred=weight))[1]
        for weight in (1.0, 0.3, 0.0)
    }
    distances = ("surface", "near", "volume", "eikonal")
    weighted = ("inside", *distances) if form == "distances" else ("inside",)
    for name in loss_masks[1.0]:
        whole, less, without = (loss_masks[weight][name].item() for weight in (1.0, 0.3, 0.0))
        assert less == pytest.approx(without + 0.3 * (whole - without), rel=1e-5)
        assert (without < whole) == (name in weighted), name
    taught = torch.zeros(len(batch.points), 10, dtype=torch.bool)
    taught[0, 4] = True
    told = objective(model, replace(batch, taught=taught), replace(EVERY_TERM, inferred=0.3))[1]
    assert told == loss_masks[1.0]
    before = loss_masks[0.0]["inside"]
    for group in (batch.near, batch.volume):
        group.distances[0, :, 4] *= -1
    assert objective(model, batch, replace(EVERY_TERM, inferred=0.0))[1]["inside"] == before
    batch.near.distances[1, :, 4] *= -1
    assert objective(model, batch, replace(EVERY_TERM, inferred=0.0))[1]["inside"] != before


def test_gradient_terms_are_those_of_the_true_gradient(dataset: DataSet) -> None:
    """By hand: all points' gradients by double backward, the loss_masks ones picked one by one."""
    batch = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0).batch(0)
    torch.manual_seed(0)
    model = RECIPE.model.build(10)
    spec = replace(EVERY_TERM, gradient_points=30)
    _, terms = objective(model, batch, spec)
    latent_set = model.encode(batch.points, batch.structure, normals=batch.normals)
    tokens = model.process(latent_set)
    lengths, angles = [], []
    for name, group in batch.queries.items():
        points = group.points[:, :10].clone().requires_grad_()
        distances = model.head_output(tokens, latent_set.positions, points, unfused=True)
        true, known = group.distances, group.known
        for heart, point, k in np.ndindex(2, 10, 10):
            d = float(true[heart, point, k])
            if not (abs(d) <= spec.gradient_within and abs(d) <= known[heart, point, k]):
                continue
            (all_of,) = torch.autograd.grad(distances[heart, point, k], points, retain_graph=True)
            gradient = all_of[heart, point]
            lengths.append((gradient.norm().item() - 1) ** 2)
            if name == "surface" and batch.surface.structure[heart, point] == k:
                normal = batch.surface.normals[heart, point]
                angles.append(1 - float(gradient @ normal / gradient.norm()))
    assert len(angles) >= 15
    assert len(lengths) > len(angles)
    assert terms["eikonal"].item() == pytest.approx(0.1 * np.mean(lengths), rel=1e-4)
    assert terms["normal"].item() == pytest.approx(0.1 * np.mean(angles), rel=1e-4)


def test_terms_add_up_to_the_loss_and_zero_weights_cost_nothing(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0).batch(0)
    model = RECIPE.model.build(10)
    loss, terms = objective(model, batch, EVERY_TERM)
    torch.testing.assert_close(loss, sum(terms.values()))
    every = {"surface", "near", "volume", "inside", "eikonal", "normal"}
    assert set(terms) == every
    kl = replace(RECIPE.model, bottleneck="kl").build(10)
    assert set(objective(kl, batch, EVERY_TERM)[1]) == every | {"kl"}
    assert set(objective(kl, batch, replace(EVERY_TERM, kl=0.0))[1]) == every

    def not_wanted(*_: object) -> None:
        raise AssertionError("gradients of weight 0 were computed")

    monkeypatch.setattr("vecsetx.training.objective.spatial_gradients", not_wanted)
    _, fewer = objective(model, batch, ObjectiveSpec(surface=0.0, inside=0.0))
    assert set(fewer) == {"near", "volume"}
    with pytest.raises(InputError, match="all 0"):
        ObjectiveSpec(near=0.0, volume=0.0, surface=0.0, inside=0.0, eikonal=1.0)


def test_each_term_is_told_with_its_share_and_its_pull(dataset: DataSet, tmp_path: Path) -> None:
    changes = {"objective": {"eikonal": 0.1}, "training": {"gradient_norms_every": 4}}
    train_model(dataset.folder, tmp_path / "run", RECIPE.changed(changes, ""))
    entries = read_journal(tmp_path / "run" / "metrics.jsonl")
    for entry in entries:
        assert sum(entry["shares"].values()) == pytest.approx(1)
        assert entry["shares"]["near"] == pytest.approx(entry["terms"]["near"] / entry["loss"])
    measured = {entry["step"] for entry in entries if "gradient_norms" in entry}
    assert measured == {4, 8}
    assert set(entries[-1]["gradient_norms"]) == set(entries[-1]["terms"])


def test_gradient_norms_are_each_term_s_own(dataset: DataSet) -> None:
    batch = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0).batch(0)
    torch.manual_seed(0)
    model = RECIPE.model.build(10)
    loss, terms = objective(model, batch, EVERY_TERM)
    found = gradient_norms(terms, model.parameters())
    loss.backward()  # which the measurement must leave possible
    for name in terms:
        model.zero_grad()
        objective(model, batch, EVERY_TERM)[1][name].backward()
        own = [p.grad.square().sum() for p in model.parameters() if p.grad is not None]
        assert found[name] == pytest.approx(float(torch.stack(own).sum().sqrt()), rel=1e-4)


def test_distance_error_by_hand() -> None:
    predicted = torch.tensor([[[0.03], [0.5], [0.02], [-0.5], [0.05]]])
    truth = torch.tensor([[[0.01], [0.3], [0.3], [-0.2], [-0.2]]])
    # within: 0.02; far enough outside: 0; 0.08 short; far enough inside: 0; 0.15 on the wrong side
    found = distance_error(predicted, truth, 0.1).flatten().tolist()
    assert found == pytest.approx([0.02, 0, 0.08, 0, 0.15], abs=1e-6)


def test_inside_error_by_hand() -> None:
    logits, truth = torch.tensor([[[4.0], [-4.0]]]), torch.tensor([[[-1.0], [-1.0]]])
    found = inside_error(logits, truth).flatten().tolist()
    assert found == pytest.approx([np.log1p(np.exp(-4)), np.log1p(np.exp(4))], rel=1e-5)


def test_what_is_asked_by_hand(dataset: DataSet) -> None:
    batch = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0).batch(0)
    model = RECIPE.model.build(10)
    batch.near.distances[0, :4, 0] = torch.tensor([0.01, -0.02, 0.3, 0.3])
    batch.near.known[0, :4, 0] = torch.tensor([0.02, 0.01, 0.15, 0.05])
    masks = loss_masks(model.head, batch, EVERY_TERM, has_penalty=False)
    # known; a bound; known to be beyond the truncation; not even that
    assert masks["near"][0, :4, 0].tolist() == [True, False, True, False]
    # The sign is known wherever the scan shows the point.
    assert masks["inside"][0, :4, 0].tolist() == [True, True, True, True]
    assert masks["eikonal"][0, 11, 0].item() == bool(
        batch.surface.distances[0, 11, 0].abs() <= EVERY_TERM.gradient_within
    )
    assert masks.keys() == {"surface", "near", "volume", "inside", "eikonal", "normal"}
    assert "kl" in loss_masks(model.head, batch, EVERY_TERM, has_penalty=True)


@pytest.mark.parametrize("form", ["distances", "union"])
def test_parts_of_a_batch_add_up_to_the_whole(
    form: Literal["distances", "union"], dataset: DataSet
) -> None:
    """Though one part asks for less than the other: each term is divided by what all ask."""
    batch = TrainingBatches(dataset, dataset.of_split("train"), RECIPE.batch, None, seed=0).batch(0)
    batch.near.known[0, ::3] = -torch.inf
    batch.surface.known[1, :20] = -torch.inf
    torch.manual_seed(0)
    model = replace(RECIPE.model, field=form, bottleneck="kl").build(10).eval()
    counts = {name: m.sum() for name, m in loss_masks(model.head, batch, EVERY_TERM, True).items()}
    whole, terms = objective(model, batch, EVERY_TERM)
    parts = [objective(model, part, EVERY_TERM, counts) for part in parts_of(batch, 1)]
    torch.testing.assert_close(sum(loss for loss, _ in parts), whole)
    for name in terms:
        torch.testing.assert_close(sum(found[name] for _, found in parts), terms[name])


@pytest.mark.parametrize("queries", ["anchored", "learnable"])
def test_every_parameter_has_one_optimizer(queries: str) -> None:
    model = ModelSpec(queries=queries, latents=8, width=32, heads=2, layers=2).build(3)
    groups = parameter_groups(model)
    ids = [id(p) for group in groups for p in group]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    hidden = {names[id(p)] for p in groups[0]}
    assert "trunk.0.attention.to_query.weight" in hidden
    assert not any("embedding" in n or "head." in n or "from_offset" in n for n in hidden)
    assert all(p.ndim < 2 for p in groups[2])
    for moved_by, count in (("muon", 2), ("adamw", 1)):
        optimizers = OptimizerSpec(hidden=moved_by).build(model)
        assert len(optimizers) == len(OptimizerSpec(hidden=moved_by).peak_rates(4)) == count
        moved = [group for optimizer in optimizers for group in optimizer.param_groups]
        assert sorted(id(p) for group in moved for p in group["params"]) == sorted(ids)
        assert all(g["weight_decay"] == 0 for g in moved if g["params"][0].ndim < 2)


def test_learning_rate_warms_up_and_ends_low() -> None:
    spec = OptimizerSpec(warmup=0.1, final=0.05)
    course = [rate_share(step, 100, spec) for step in range(100)]
    assert course[0] == pytest.approx(0.1)
    assert course[9] == pytest.approx(1.0)
    assert all(a >= b for a, b in pairwise(course[10:]))
    assert 0.05 <= course[-1] < 0.06


def test_journal_survives_a_line_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1, "split": "val", "loss": 2.0}) + "\n" + '{"step": 2, "lo')
    assert [entry["step"] for entry in read_journal(path)] == [1]


def test_recipes_take_changes_and_refuse_nonsense() -> None:
    changed = RECIPE.changed(parse_overrides(["model.width=64", "training.seed=5"]), "here")
    assert (changed.model.width, changed.training.seed) == (64, 5)
    for words, message in (
        (["model.wdth=64"], "unknown option 'model.wdth'"),
        (["model.width=wide"], "model.width='wide'"),
        (["modle.width=64"], "unknown option 'modle.width'; write model.width=64"),
        (["modle.colour=64"], "unknown part 'modle'"),
        (["model.queries=other"], "model.queries"),
        (["model.width=100", "model.heads=8"], "not a multiple of heads"),
        (["training.steps=-4"], "training.steps"),
        (["training.log_every=0"], "training.log_every"),
        (["batch.points=10"], "batch.points gives only 10"),
    ):
        with pytest.raises(InputError, match=message):
            RECIPE.changed(parse_overrides(words), "here")
    with pytest.raises(InputError, match=r"part\.option=value"):
        parse_overrides(["colour=red"])
    with pytest.raises(InputError, match="cannot be read"):
        parse_overrides(["model.width=["])


def test_recipes_with_the_former_part_draws_are_refused(dataset: DataSet, tmp_path: Path) -> None:
    """From a file, from the command line, and in a run to be resumed; in one line each."""
    file = tmp_path / "old.yaml"
    file.write_text("draws: {hearts: 2}\n")
    line = "^{}: the part draws is now called batch; rename it to batch$"
    with pytest.raises(InputError, match=line.format(file)):
        read_changes(file)
    with pytest.raises(InputError, match=line.format("command line")):
        RECIPE.changed(parse_overrides(["draws.hearts=2"]), "command line")
    train_model(dataset.folder, tmp_path / "run", RECIPE, stop_after=1)
    recipe_file = tmp_path / "run" / "recipe.yaml"
    recipe = yaml.safe_load(recipe_file.read_text())
    former = {"draws" if part == "batch" else part: values for part, values in recipe.items()}
    recipe_file.write_text(yaml.safe_dump(former))
    with pytest.raises(InputError, match=line.format(recipe_file)):
        train_model(dataset.folder, tmp_path / "run", RECIPE, resume=True)
    recipe_file.write_text(yaml.safe_dump(recipe))  # renamed again, it can be resumed
    train_model(dataset.folder, tmp_path / "run", RECIPE, resume=True, stop_after=2)


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 10, 40), (2, 40, 10)])
def test_orthogonalized_keeps_singular_vectors(shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(shape, generator=generator, dtype=torch.float64)
    found = orthogonalized(matrices)
    for matrix, result in zip(matrices, found, strict=True):
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        inner = left.mT @ result @ right.mT  # diagonal if the singular vectors are the same
        values = inner.diagonal()
        assert (inner - torch.diag(values)).abs().max() < 1e-9
        assert values.min() > 0.3
        assert values.max() < 1.3


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has Muon from 2.9 on")
def test_muon_moves_as_pytorch_s_does() -> None:
    """PyTorch's works in bfloat16, so the two agree to its precision, not bit for bit."""
    torch.manual_seed(0)
    start = torch.randn(16, 32)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    options = {"lr": 0.02, "weight_decay": 0.1}
    optimizers = [
        Muon([ours], **options),
        torch.optim.Muon([theirs], **options, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(5):
        gradient = torch.randn(16, 32)
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.03 * moved


def test_muon_moves_all_matrices_as_it_moves_each_alone() -> None:
    """To the last bit: matrices of one shape are updated by one kernel, as a loop would."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(16, 32), (8, 8), (16, 32), (32, 16), (16, 32)]
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    together, alone = ([torch.nn.Parameter(w.clone()) for w in starts] for _ in range(2))
    options = {"lr": 0.02, "weight_decay": 0.1}
    optimizer = Muon(together, **options)
    momenta = [torch.zeros_like(w) for w in starts]
    for _ in range(3):
        gradients = [torch.randn(shape, generator=generator) for shape in shapes]
        for parameter, gradient in zip(together, gradients, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
        with torch.no_grad():
            for parameter, gradient, momentum in zip(alone, gradients, momenta, strict=True):
                momentum.lerp_(gradient, 1 - 0.95)
                parameter.mul_(1 - 0.02 * 0.1)
            for shape in dict.fromkeys(shapes):
                rows = [i for i, other in enumerate(shapes) if other == shape]
                updates = orthogonalized(
                    torch.stack([gradients[i].lerp(momenta[i], 0.95) for i in rows])
                )
                for i, update in zip(rows, updates, strict=True):
                    alone[i].add_(update, alpha=-0.02 * (0.2 * max(shape) ** 0.5))
    assert all(map(torch.equal, together, alone))
