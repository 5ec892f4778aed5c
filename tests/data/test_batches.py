"""Drawing batches: exactly what the files hold, whoever draws, and whatever happens to a file."""

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from support.forked import server
from support.runs import parts_of, tensors_of
from torch.utils.data import DataLoader

from vecsetx.data.augment import AugmentSpec, random_augmentation, rotation_about
from vecsetx.data.batch import Batch
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.buffer import BatchBuffer
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec, draw_heart
from vecsetx.data.step_batches import StepBatches, StepDataset
from vecsetx.errors import InputError
from vecsetx.sampling.samples import (
    QueryPoints,
    Samples,
    SamplesFile,
    SurfacePoints,
    write_samples,
)

SPEC = BatchSpec(hearts=3, points=256, surface=32, near=48, volume=40)
COUNTS = (SPEC.points, SPEC.surface, SPEC.near, SPEC.volume)


def draws_of(dataset: DataSet, spec: BatchSpec = SPEC, moving: bool = True) -> TrainingBatches:
    augmentation = AugmentSpec() if moving else None
    return TrainingBatches(dataset, dataset.of_split("train"), spec, augmentation, seed=3)


def drawn_heart(
    file: SamplesFile,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    generator: np.random.Generator,
    augmentation: AugmentSpec | None = None,
) -> BatchBuffer:
    """A heart in rows of its own, which hold something else before."""
    rows = BatchBuffer.empty(1, *COUNTS, len(structures)).heart(0)
    for field in fields(BatchBuffer):
        getattr(rows, field.name).fill(77)
    draw_heart(file, structures, annotated, SPEC, augmentation, generator, rows)
    return rows


def assert_equal(one: Batch, other: Batch, heart: int | slice = slice(None)) -> None:
    tensors, others = tensors_of(one), tensors_of(other)
    assert len(tensors) == 15
    for name, values in tensors.items():
        assert torch.equal(values[heart], others[name][heart]), name


@pytest.fixture
def copy(dataset: DataSet, tmp_path: Path) -> DataSet:
    """A data set of its own for a test that damages it."""
    shutil.copytree(dataset.folder, tmp_path / "data")
    return replace(dataset, folder=tmp_path / "data")


def odd_heart(info, folder: Path) -> SamplesFile:
    """A heart of two structures in another order, one cut by the scan's edge; random values."""
    generator = np.random.default_rng(5)

    def values(*shape: int) -> np.ndarray:
        return generator.normal(0, 10, shape).astype(np.float32)

    def queries(count: int) -> QueryPoints:
        return QueryPoints(values(count, 3), values(count, 2), values(count))

    normals = values(300, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    structure = generator.integers(0, 2, 300).astype(np.uint8)
    surface = SurfacePoints(values(300, 3), structure, normals, values(300, 2), values(300))
    amounts = {"RV": 1.0, "LA": 2.0}
    info = replace(
        info,
        structures=("RV", "LA"),
        cut=("LA",),
        name="odd",
        volumes_ml=amounts,
        areas_mm2=amounts,
        pieces={"RV": 1, "LA": 2},
    )
    write_samples(Samples(surface, queries(70), queries(60), info), folder / "odd.safetensors")
    return SamplesFile(folder / "odd.safetensors")


def test_a_draw_is_what_the_file_holds(dataset: DataSet, tmp_path: Path) -> None:
    """By hand: whole tensors rolled to the drawn row, structures placed one by one."""
    files = [dataset.open(heart) for heart in dataset.hearts[:2]]
    cases = [(file, dataset.structures, dataset.structures) for file in files]
    cases.append((odd_heart(files[0].info, tmp_path), ("LA", "LV", "RV", "PA"), ("LA", "LV", "RV")))
    for (file, structures, annotated), seed in ((case, s) for case in cases for s in range(8)):
        drawn = drawn_heart(file, structures, annotated, np.random.default_rng(seed))
        generator, whole, info = np.random.default_rng(seed), file.read(), file.info
        groups = (whole.surface, whole.near, whole.volume)
        sizes = [len(of.points_mm) for of in groups]
        first, near, volume = np.floor(generator.random(3) * sizes).astype(int).tolist()
        wanted = [(whole.surface, first, SPEC.points)]
        wanted += [(whole.surface, first + SPEC.points, SPEC.surface)]
        wanted += [(whole.near, near, SPEC.near), (whole.volume, volume, SPEC.volume)]
        points, structure, normals, distances, known = [], [], [], [], []
        for index, (of, start, count) in enumerate(wanted):
            rows = (start + np.arange(count)) % len(of.points_mm)
            points.append((of.points_mm[rows] - np.float32(info.frame.center_mm)) / 80)
            if index < 2:
                names = [info.structures[k] for k in of.structure[rows]]
                structure += [structures.index(name) for name in names]
                normals.append(of.normals[rows])
            if index > 0:
                true = np.full((count, len(structures)), np.inf, np.float32)
                sure = np.full((count, len(structures)), np.inf, np.float32)
                for k, name in enumerate(structures):
                    if name in info.structures:
                        true[:, k] = of.distances_mm[rows, info.structures.index(name)] / 80
                        sure[:, k] = of.edge_mm[rows] / 80 if name in info.cut else np.inf
                    elif name not in annotated:
                        sure[:, k] = -np.inf
                distances.append(true)
                known.append(sure)
        np.testing.assert_allclose(drawn.points, np.concatenate(points), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(drawn.structure, structure)
        np.testing.assert_array_equal(drawn.normals, np.concatenate(normals))
        np.testing.assert_allclose(drawn.distances, np.concatenate(distances), rtol=1e-6)
        np.testing.assert_allclose(drawn.known, np.concatenate(known), rtol=1e-6)


def test_a_batch_is_its_hearts_side_by_side(dataset: DataSet) -> None:
    draws = draws_of(dataset, moving=False)
    batch = draws.batch(4)
    names = draws.names(4, 1, 1)
    by_name = {file.info.name: file for file in draws.files}
    ends = np.cumsum([SPEC.points, SPEC.surface, SPEC.near])
    for row, place in enumerate(range(12, 15)):
        generator = np.random.default_rng([3, 1, place])
        structures = dataset.structures
        heart = drawn_heart(by_name[names[row]], structures, structures, generator)
        points = np.split(heart.points, ends)
        found = [batch.points, *(group.points for group in batch.queries.values())]
        for values, expected in zip(found, points, strict=True):
            np.testing.assert_array_equal(values[row], expected)
        for what in ("distances", "known"):
            parts = np.split(getattr(heart, what), ends[1:] - ends[0])
            for group, expected in zip(batch.queries.values(), parts, strict=True):
                np.testing.assert_array_equal(getattr(group, what)[row], expected)
        for what in ("structure", "normals"):
            shown, asked = np.split(getattr(heart, what), ends[:1])
            np.testing.assert_array_equal(getattr(batch, what)[row], shown)
            np.testing.assert_array_equal(getattr(batch.surface, what)[row], asked)


def test_draws_depend_on_seed_and_step_alone_and_visit_every_heart(dataset: DataSet) -> None:
    one, two = draws_of(dataset), draws_of(dataset)
    two.batch(0)
    assert torch.equal(one.batch(7).near.points, two.batch(7).near.points)
    assert not torch.equal(one.batch(7).near.points, one.batch(8).near.points)
    names = sorted(heart.name for heart in dataset.of_split("train"))
    orders = [one.names(step, 1, 1) for step in range(8)]  # as many hearts as a step sees
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_label_sets_take_turns_however_many_hearts_they_have(dataset: DataSet) -> None:
    one = replace(dataset.hearts[0], label_set="other")
    hearts = (one, *dataset.hearts[1:])
    spec = replace(SPEC, hearts=2)
    balanced = TrainingBatches(dataset, hearts, spec, None, seed=3)
    seen = [balanced.names(step, 1, 1) for step in range(2 * len(hearts))]
    assert all(names[0] == one.name and names[1] != one.name for names in seen)
    others = [names[1] for names in seen]
    for start in range(0, 2 * (len(hearts) - 1), len(hearts) - 1):
        assert set(others[start : start + len(hearts) - 1]) == {h.name for h in hearts[1:]}
    alike = TrainingBatches(dataset, hearts, replace(spec, balance=False), None, seed=3)
    assert [alike.names(step, 2, 1) for step in range(9)] == [
        TrainingBatches(dataset, dataset.hearts, spec, None, seed=3).names(step, 2, 1)
        for step in range(9)
    ]


def test_passes_and_ranks_share_the_same_hearts_out(dataset: DataSet) -> None:
    whole = StepDataset(draws_of(dataset, replace(SPEC, hearts=8)), 1, 0, 1)[3].batches[0]
    draws = draws_of(dataset, replace(SPEC, hearts=2))
    ranks = [StepDataset(draws, 2, rank, 2)[3].batches for rank in range(2)]
    for part, expected in zip([*ranks[0], *ranks[1]], parts_of(whole, 2), strict=True):
        assert_equal(part, expected)


def as_it_is(drawn: StepBatches) -> StepBatches:
    return drawn


@pytest.mark.parametrize("lost", [False, True])
def test_two_workers_draw_what_one_process_draws(copy: DataSet, lost: bool) -> None:
    data = StepDataset(draws_of(copy), 2, 0, 1)
    if lost:  # after the hearts were opened, before the workers start
        os.truncate(data.batches.files[1].path, 1000)
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=range(5),
        num_workers=2,
        multiprocessing_context=server(),
        collate_fn=as_it_is,
    )
    for step, drawn in enumerate(loader):
        expected = data[step]
        assert drawn.lost == expected.lost
        assert bool(drawn.lost) == lost
        for part, other in zip(drawn.batches, expected.batches, strict=True):
            assert_equal(part, other)


def vanish(path: Path) -> str:
    path.unlink()
    return "can no longer be read: No such file"


def truncate(path: Path) -> str:
    size = path.stat().st_size
    os.truncate(path, size // 3)
    return f"has {size // 3} bytes, it had {size}"


def lose_the_last_byte(path: Path) -> str:
    size = path.stat().st_size
    os.truncate(path, size - 1)
    return f"has {size - 1} bytes, it had {size}"


def filled(group: str, columns: int | slice, value: float, told: str) -> Callable[[Path], str]:
    """Damage that fills some columns of a group with one value."""

    def damage(path: Path) -> str:
        table = load_file(path)[group]
        before = table.tobytes()
        table[:, columns] = value
        content = path.read_bytes()
        assert content.count(before) == 1
        path.write_bytes(content.replace(before, table.tobytes()))
        return told

    return damage


POINT, NORMAL, DISTANCES = slice(0, 3), slice(4, 7), slice(3, 13)
NO_NUMBER = "structure indices that are not whole numbers"
DAMAGES = {
    "vanished": vanish,
    "truncated": truncate,
    "a byte short": lose_the_last_byte,
    "points": filled("surface", POINT, np.nan, "points that are not finite"),
    "queries": filled("near", POINT, np.inf, "points that are not finite"),
    "distances": filled("volume", DISTANCES, np.nan, "distances that are not finite"),
    "infinite distances": filled("near", DISTANCES, np.inf, "distances that are not finite"),
    "structure": filled("surface", 3, 10, "points of structure 10, but it has 10"),
    "no structure": filled("surface", 3, np.nan, NO_NUMBER),
    "half a structure": filled("surface", 3, 0.5, NO_NUMBER),
    "structure below 0": filled("surface", 3, -1, NO_NUMBER),
    "normals": filled("surface", NORMAL, np.nan, "normals that are not of length 1"),
    "zeros": filled("surface", NORMAL, 0, "normals that are not of length 1"),
    "edge": filled("near", 13, np.nan, "distances to the scan's edge that are not numbers"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_heart_is_replaced_by_the_next_and_told(damage: str, copy: DataSet) -> None:
    draws = draws_of(copy)
    intact = draws.batch(2)
    order = draws.names(2, 1, 1)
    for row, name in enumerate(order):
        file = next(file for file in draws.files if file.info.name == name)
        content = file.path.read_bytes()
        told = DAMAGES[damage](file.path)
        drawn = StepDataset(draws, 1, 0, 1)[2]
        (lost,), (batch,) = drawn.lost, drawn.batches
        assert (lost.name, lost.path) == (name, file.path)
        assert lost.error.startswith(f"{name}: {file.path}: ")
        assert told in lost.error
        for other in {0, 1, 2} - {row}:
            assert_equal(batch, intact, other)
        following = order[(row + 1) % 3]  # drawn as if it had stood there
        rest = [heart for heart in copy.of_split("train") if heart.name == following]
        alone = TrainingBatches(copy, rest, replace(SPEC, hearts=1), AugmentSpec(), seed=3)
        assert_equal(batch.map(lambda values, row=row: values[row : row + 1]), alone.batch(6 + row))
        with pytest.raises(InputError, match=file.path.name):
            draws.batch(2)
        file.path.write_bytes(content)
        assert StepDataset(draws, 1, 0, 1)[2].lost == ()  # it is back


def test_two_lost_hearts_leave_the_third_and_none_leaves_nothing(copy: DataSet) -> None:
    draws = draws_of(copy, moving=False)
    last = draws.files.pop()
    draws.files.append(last)
    for file in draws.files[:2]:
        file.path.unlink()
    drawn = StepDataset(draws, 2, 0, 1)[5]
    assert [heart.path for heart in sorted(drawn.lost, key=lambda heart: heart.name)] == sorted(
        file.path for file in draws.files[:2]
    )  # each once, however often it was met
    held = last.info.frame.to_unit(last.read().near.points_mm)
    for batch in drawn.batches:
        for heart in batch.near.points.numpy():
            assert np.abs(held - heart[:1]).max(axis=1).min() < 1e-6
    last.path.unlink()
    with pytest.raises(InputError, match=f"none of the 3 hearts can be read, .*{copy.folder}"):
        StepDataset(draws, 2, 0, 1)[5]


def test_any_number_of_hearts_may_be_open(dataset: DataSet) -> None:
    """In few file descriptors, and without memory maps, which a truncated file would break."""
    path = dataset.folder / dataset.hearts[0].file
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, limits[1]))
    try:
        files = [SamplesFile(path) for _ in range(50)]
        read = [file.part((5, 7), (5, 7), (5, 7)).near.points_mm for file in files]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert all(np.array_equal(rows, read[0]) for rows in read)


@pytest.mark.parametrize("group", ["surface", "near", "volume"])
def test_parts_go_round_at_the_end(dataset: DataSet, group: str) -> None:
    file = dataset.open(dataset.hearts[0])
    whole = getattr(file.read(), group)
    size = len(whole.points_mm)

    def part(start: int, count: int) -> SurfacePoints | QueryPoints:
        wanted = dict.fromkeys(("surface", "near", "volume"), (0, 0))
        return getattr(file.part(**{**wanted, group: (start, count)}), group)

    for start, count in ((0, size), (size - 1, size), (size - 3, 3), (size - 3, 4), (17, 0)):
        found = part(start, count)
        for field in fields(found):
            expected = np.roll(getattr(whole, field.name), -start, axis=0)[:count]
            np.testing.assert_array_equal(getattr(found, field.name), expected)
    with pytest.raises(InputError, match=f"{size + 1} {group} points requested"):
        part(0, size + 1)


def batch_of(dataset: DataSet, augmentation: AugmentSpec | None) -> Batch:
    """Three hearts, the same whatever the augmentation."""
    structures = dataset.structures
    buffer = BatchBuffer.empty(3, *COUNTS, len(structures))
    for row, heart in enumerate(dataset.hearts[:3]):
        generator = np.random.default_rng(row)
        file = dataset.open(heart)
        draw_heart(file, structures, structures, SPEC, augmentation, generator, buffer.heart(row))
    return buffer.batch(*COUNTS)


def test_a_batch_holds_true_distances_whatever_the_augmentation(dataset: DataSet) -> None:
    """Moved surface points stay on their own surface, and scaled distances stay distances."""
    still, shaken = batch_of(dataset, None), batch_of(dataset, AugmentSpec(30.0, 0.3, 0.2))
    for heart in range(3):
        before = torch.cdist(still.near.points[heart], still.points[heart])
        after = torch.cdist(shaken.near.points[heart], shaken.points[heart])
        ratio = after / before
        assert ratio.std() < 1e-4  # one scale per heart, rigid otherwise
        scale = ratio.mean()
        finite = torch.isfinite(still.near.distances[heart])
        torch.testing.assert_close(
            shaken.near.distances[heart][finite],
            scale * still.near.distances[heart][finite],
            rtol=1e-3,
            atol=1e-5,
        )
    # A mirror would turn the sign of a triple product.
    triple = [
        torch.linalg.det(near[0, 1:4] - near[0, :1]).sign()
        for near in (still.near.points, shaken.near.points)
    ]
    assert triple[0] == triple[1]


def test_hearts_are_moved_as_told(dataset: DataSet) -> None:
    """Field by field and heart by heart, in double precision."""
    spec = AugmentSpec(180.0, 0.5, 2.0, without_normals=0.0)
    still, found = batch_of(dataset, None), batch_of(dataset, spec)
    movements = []
    for generator in map(np.random.default_rng, range(3)):
        generator.random(3)  # the draw's places
        movements.append(random_augmentation(spec, generator))
    turn = [movement.rotation.astype(np.float64) for movement in movements]
    scale = [movement.scale for movement in movements]
    shift = [movement.shift for movement in movements]
    after_moving = tensors_of(found)
    for name, values in tensors_of(still).items():
        for heart in range(3):
            before = values[heart].double().numpy()
            if name.endswith("points"):
                expected = scale[heart] * before @ turn[heart].T + shift[heart]
            elif name.endswith("normals"):
                expected = before @ turn[heart].T
            elif name.endswith(("distances", "known")):
                expected = scale[heart] * before
            else:
                expected = before
            after = after_moving[name][heart].numpy()
            np.testing.assert_allclose(after, expected, rtol=1e-5, atol=2e-6)


def test_movements_fill_their_ranges(dataset: DataSet) -> None:
    spec = BatchSpec(hearts=400, points=32, surface=8, near=8, volume=8)
    still, shaken = (
        TrainingBatches(dataset, dataset.of_split("train"), spec, augmentation, seed=0).batch(0)
        for augmentation in (None, AugmentSpec())
    )
    scale = (shaken.near.distances / still.near.distances)[:, 0, 0].double()
    normals = [batch.surface.normals.double() for batch in (still, shaken)]
    turn = torch.linalg.lstsq(*normals).solution
    trace = turn.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    angle = torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))
    there = scale[:, None] * (still.near.points[:, 0, None].double() @ turn)[:, 0]
    shift = shaken.near.points[:, 0] - there
    for values, low, high in ((scale.log(), -np.log(1.1), np.log(1.1)), (shift, -0.05, 0.05)):
        assert low - 1e-4 < values.min() < 0.95 * low
        assert 0.95 * high < values.max() < high + 1e-4
        assert abs(values.mean()) < 0.1 * high
    assert 9.5 < angle.max() < 10.01
    assert 4.5 < angle.mean() < 5.5


def test_some_hearts_are_shown_without_normals(dataset: DataSet) -> None:
    spec = BatchSpec(hearts=200, points=32, surface=8, near=8, volume=8)
    hide = AugmentSpec(without_normals=0.3)
    batch = TrainingBatches(dataset, dataset.of_split("train"), spec, hide, seed=0).batch(0)
    lengths = batch.normals.norm(dim=-1)
    hidden = (lengths == 0).all(dim=1)
    assert 0.2 < hidden.float().mean() < 0.4
    torch.testing.assert_close(lengths[~hidden], torch.ones_like(lengths[~hidden]))
    towards = batch.surface.normals.norm(dim=-1)  # what is asked stays
    torch.testing.assert_close(towards, torch.ones_like(towards))


def test_rotations_are_matrix_exponentials() -> None:
    generator = np.random.default_rng(0)
    for length, angle in ((1.0, 0.3), (0.1, -2.0), (7.0, 3.1)):
        axis = generator.standard_normal(3)
        axis /= np.linalg.norm(axis)
        x, y, z = angle * axis
        cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
        expected = torch.linalg.matrix_exp(cross).numpy()
        found = rotation_about((length * axis).tolist(), angle)
        np.testing.assert_allclose(found, expected, atol=1e-7)
