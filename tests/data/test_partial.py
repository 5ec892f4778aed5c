"""Hearts shown in part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from support.runs import RECIPE, losses, tensors_of

from vecsetx.commands.train import train_model
from vecsetx.data.batch import Batch
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.data.partial import ObservedPoints, PartialSpec, PartialView
from vecsetx.errors import InputError
from vecsetx.presets import PARTIAL, preset

STRUCTURES = 6
WHOLE = 3000


def a_heart(seed: int) -> ObservedPoints:
    """Points of six balls in random order, with normals."""
    generator = np.random.default_rng(seed)
    structure = generator.integers(STRUCTURES, size=WHOLE)
    normals = generator.standard_normal((WHOLE, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    middles = generator.uniform(-0.5, 0.5, (STRUCTURES, 3))
    points = middles[structure] + 0.2 * normals
    return ObservedPoints(points.astype(np.float32), structure, normals.astype(np.float32))


def rows_of(part: ObservedPoints, whole: ObservedPoints) -> np.ndarray:
    """Which rows of the whole heart are shown."""
    place = {point.tobytes(): row for row, point in enumerate(whole.points_mm)}
    return np.array([place[point.tobytes()] for point in part.points_mm])


def separable(low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a plane lies between two sets of points."""
    sides = np.concatenate([low, -high])
    ones = np.concatenate([np.ones(len(low)), -np.ones(len(high))])
    constraints = np.concatenate([sides, ones[:, None]], axis=1)
    return bool(
        linprog(np.zeros(4), constraints, -np.ones(len(sides)), bounds=[(None, None)] * 4).success
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_whole_structures_are_left_out(seed: int) -> None:
    whole = a_heart(seed)
    spec = PartialSpec(hide=1.0, fewest=2, most=9)
    part = PartialView(spec, 1.0).observe(whole, 800, np.random.default_rng(seed))
    rows = rows_of(part, whole)
    missing = STRUCTURES - len(np.unique(part.structure))
    assert 2 <= missing <= STRUCTURES - 1
    assert np.array_equal(part.structure, whole.structure[rows])
    assert np.array_equal(part.normals, whole.normals[rows])
    assert len(np.unique(rows)) == min(800, np.isin(whole.structure, part.structure).sum())


def test_every_number_of_structures_and_every_structure_is_left_out() -> None:
    whole, counts, left_out = a_heart(0), set(), set()
    for seed in range(200):
        generator = np.random.default_rng(seed)
        part = PartialView(PartialSpec(hide=1.0, fewest=2, most=4), 1.0).observe(
            whole, WHOLE, generator
        )
        missing = set(range(STRUCTURES)) - set(part.structure.tolist())
        counts.add(len(missing))
        left_out |= missing
    assert counts == {2, 3, 4}
    assert left_out == set(range(STRUCTURES))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_cut_takes_one_side_of_a_plane_or_a_ball(seed: int) -> None:
    whole = a_heart(seed)
    spec = PartialSpec(cut=1.0, cut_most=0.4)
    part = PartialView(spec, 1.0).observe(whole, WHOLE, np.random.default_rng(seed))
    hidden = np.ones(WHOLE, dtype=bool)
    hidden[rows_of(part, whole)] = False
    assert hidden.mean() <= 0.4 + 1 / WHOLE
    if hidden.any():
        assert in_a_ball(*apart(hidden, whole)) or separable(*apart(hidden, whole))


def apart(hidden: np.ndarray, whole: ObservedPoints) -> tuple[np.ndarray, np.ndarray]:
    return whole.points_mm[hidden].astype(float), whole.points_mm[~hidden].astype(float)


def in_a_ball(lost: np.ndarray, left: np.ndarray) -> bool:
    """Whether a ball about one of the lost points holds all of them and nothing else."""
    around, to_left = cdist(lost, lost).max(axis=1), cKDTree(left).query(lost)[0]
    return bool((around < to_left + 1e-6).any())


def test_cuts_are_by_planes_and_by_balls_and_take_any_share_up_to_the_most() -> None:
    whole, shares, kinds = a_heart(3), [], []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        part = PartialView(PartialSpec(cut=1.0, cut_most=0.4), 1.0).observe(whole, WHOLE, generator)
        hidden = np.ones(WHOLE, dtype=bool)
        hidden[rows_of(part, whole)] = False
        shares.append(hidden.mean())
        kinds.append(in_a_ball(*apart(hidden, whole)))
    np.testing.assert_allclose(np.quantile(shares, [0.1, 0.5, 0.9]), [0.04, 0.2, 0.36], atol=0.06)
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.2)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_sparse_is_few_points_or_the_contours_of_slices(seed: int) -> None:
    whole = a_heart(seed)
    spec = PartialSpec(sparse=1.0, slices_fewest=6, slices_most=9)
    part = PartialView(spec, 1.0).observe(whole, 1000, np.random.default_rng(seed))
    if part.normals.any():
        assert 64 <= len(np.unique(part.points_mm, axis=0)) <= WHOLE
        assert set(rows_of(part, whole)) == set(range(len(np.unique(part.points_mm, axis=0))))
        return
    # All points lie on parallel planes, equally far apart but where a plane meets nothing.
    points = part.points_mm.astype(float)
    heights = np.unique(np.round(points @ _normal_of_planes(points), 4))
    steps = np.diff(heights[np.append(True, np.diff(heights) > 0.01)])
    assert 3 <= len(steps) < 10
    assert np.abs(steps / steps.min() - np.round(steps / steps.min())).max() < 0.02


def test_few_points_are_any_number_from_64_on() -> None:
    """Evenly in the logarithm, for half of the sparse hearts; the others have no normals."""
    whole, counts = a_heart(4), []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        part = PartialView(PartialSpec(sparse=1.0), 1.0).observe(whole, WHOLE, generator)
        if part.normals.any():
            counts.append(len(np.unique(part.points_mm, axis=0)))
    few = np.array([count for count in counts if count < WHOLE])
    share = np.log(few / 64) / np.log(WHOLE / 64)
    assert few.min() >= 64
    np.testing.assert_allclose(np.quantile(share, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.12)
    assert len(few) / 200 == pytest.approx(0.5, abs=0.1)  # of those left, half are on slices


def _normal_of_planes(points: np.ndarray) -> np.ndarray:
    """The direction along which differences of near points vanish most often."""
    best, found = -1.0, np.zeros(3)
    generator = np.random.default_rng(0)
    for _ in range(600):
        a, b, c = points[generator.choice(len(points), 3, replace=False)]
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal)
        if length < 1e-3:
            continue
        normal /= length
        on_plane = np.mean(np.abs((points - a) @ normal) < 1e-5)
        if on_plane > best:
            best, found = on_plane, normal
    return found


def test_nothing_is_hidden_at_first_and_more_and_more_later() -> None:
    whole = a_heart(1)
    spec = PartialSpec(hide=1.0, cut=1.0, sparse=1.0, ramp=100)
    views = [spec.at(place) for place in (0, 50, 100, 5000)]
    assert [view and view.difficulty for view in views] == [0, 0.5, 1, 1]
    assert PartialSpec(hide=1.0, ramp=0).at(0) == PartialView(PartialSpec(hide=1.0, ramp=0), 1.0)
    assert PartialSpec().at(5000) is None
    for seed in range(20):
        part = PartialView(spec, 0.0).observe(whole, 500, np.random.default_rng(seed))
        assert np.array_equal(part.points_mm, whole.points_mm[:500])
    hiding = PartialSpec(hide=0.8)
    parts = [
        [
            PartialView(hiding, d).observe(whole, 500, np.random.default_rng(seed))
            for seed in range(200)
        ]
        for d in (0.5, 1.0)
    ]
    lacking = [[len(np.unique(p.structure)) < STRUCTURES for p in of_d] for of_d in parts]
    assert [np.mean(of_d) for of_d in lacking] == pytest.approx([0.4, 0.8], abs=0.1)


def test_one_structure_alone_is_never_left_out() -> None:
    whole = a_heart(2)
    alone = ObservedPoints(whole.points_mm, np.full(WHOLE, 3), whole.normals)
    part = PartialView(PartialSpec(hide=1.0), 1.0).observe(alone, 100, np.random.default_rng(0))
    assert np.array_equal(part.points_mm, whole.points_mm[:100])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"fewest": 5, "most": 4}, "fewest 5 is more than"),
        ({"slices_fewest": 9, "slices_most": 8}, "slices_fewest 9 is more than"),
    ],
)
def test_specs_that_cannot_be(fields: dict[str, int], told: str) -> None:
    with pytest.raises(InputError, match=told):
        PartialSpec(**fields)


def drawn(dataset: DataSet, partial: PartialSpec | None) -> Batch:
    spec = BatchSpec(hearts=3, points=256, surface=32, near=48, volume=40)
    return TrainingBatches(dataset, dataset.of_split("train"), spec, None, 3, partial).batch(0)


def test_what_is_asked_stays_whole_and_the_frame_is_that_of_what_is_shown(
    dataset: DataSet,
) -> None:
    whole = drawn(dataset, None)
    part = drawn(dataset, PartialSpec(hide=1.0, fewest=4, most=8, cut=0.5, ramp=0))
    shifts = part.near.points - whole.near.points
    torch.testing.assert_close(shifts, shifts[:, :1].expand_as(shifts), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        part.volume.points - whole.volume.points, shifts[:, :40], atol=1e-5, rtol=0
    )
    assert shifts.norm(dim=-1).min() > 0.01
    for group in ("near", "volume"):
        for fact in ("distances", "known"):
            name = f"{group}.{fact}"
            assert torch.equal(tensors_of(part)[name], tensors_of(whole)[name])
    middle = (part.points.amin(dim=1) + part.points.amax(dim=1)) / 2
    assert middle.abs().max() < 1e-6
    for heart, structure in enumerate(part.structure):
        assert 1 <= len(structure.unique()) <= len(dataset.structures) - 4
        whole_there = whole.points[heart] + shifts[heart, 0]
        own = whole.structure[heart] == structure[0]
        # Points of a structure that is shown lie where it lies.
        gaps = torch.cdist(part.points[heart][structure == structure[0]], whole_there[own])
        assert gaps.amin(dim=1).max() < 0.3
        assert (gaps.amin(dim=1) < 1e-5).float().mean() > 0.1  # drawn by both


def test_nothing_changes_where_nothing_is_hidden(dataset: DataSet) -> None:
    at_first = drawn(dataset, PartialSpec(hide=1.0, cut=1.0, sparse=1.0, ramp=10**9))
    whole = drawn(dataset, None)
    torch.testing.assert_close(at_first.structure, whole.structure)
    assert torch.equal(at_first.normals, whole.normals)


def test_hearts_that_are_sparse_are_drawn_like_others(dataset: DataSet) -> None:
    """Points on slices have no normals, which in a file would be damage."""
    spec = BatchSpec(hearts=3, points=256, surface=32, near=48, volume=40)
    sparse = PartialSpec(sparse=1.0, ramp=0)
    draws = TrainingBatches(dataset, dataset.of_split("train"), spec, None, 3, sparse)
    batches = [draws.batch_with_substitutes(number) for number in range(8)]
    assert not any(lost for _, lost in batches)
    lengths = torch.cat([batch.normals.norm(dim=-1).mean(dim=1) for batch, _ in batches])
    assert {round(float(length)) for length in lengths} == {0, 1}


def test_the_same_seed_hides_the_same(dataset: DataSet) -> None:
    spec = PartialSpec(hide=0.8, cut=0.5, sparse=0.5, planes=0.5, ramp=0)
    one, other = drawn(dataset, spec), drawn(dataset, spec)
    for name, values in tensors_of(one).items():
        assert torch.equal(values, tensors_of(other)[name]), name


def test_a_model_learns_from_parts(dataset: DataSet, tmp_path: Path) -> None:
    partial = PartialSpec(hide=0.8, cut=0.5, sparse=0.5, planes=0.5, ramp=4)
    recipe = replace(RECIPE, partial=partial, training=replace(RECIPE.training, steps=4))
    train_model(dataset.folder, tmp_path / "run", recipe, stop_after=2)
    train_model(dataset.folder, tmp_path / "run", recipe, resume=True)
    train_model(dataset.folder, tmp_path / "whole", recipe)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_partial_presets_differ_in_what_they_hide_and_how_long_they_learn() -> None:
    for name in ("tiny", "small", "base", "large"):
        whole, part = preset(name), preset(f"{name}-partial")
        assert whole.partial.at(10**9) is None
        assert part.training.steps > whole.training.steps
        objective = replace(whole.objective, inferred=part.objective.inferred)
        changed = {"partial": part.partial, "training": part.training, "objective": objective}
        assert replace(whole, **changed) == part
        if name == "tiny":
            assert all(
                0 < getattr(part.partial, kind) < getattr(PARTIAL, kind)
                for kind in ("hide", "cut", "sparse", "planes")
            )
            assert 0 < part.objective.inferred < 1
        else:
            assert replace(part.partial, ramp=PARTIAL.ramp) == PARTIAL
            assert part.objective.inferred == 1
        hearts = part.training.steps * part.batch.hearts
        assert part.partial.ramp / hearts == pytest.approx(0.2, abs=0.01)
