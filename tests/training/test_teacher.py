"""A model that says what hearts are not annotated with."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from support.hearts import write_small_phantoms
from support.runs import RECIPE, losses, tensors_of, untrained

from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.train import train_model
from vecsetx.data.batch import Batch
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import LatentSet, VecSetAutoEncoder
from vecsetx.recipe import Recipe
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.training.objective import distance_error
from vecsetx.training.teacher import Teacher

ANNOTATED = label_set("heartchambers").structures
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Two phantoms with ten structures, and two whose label maps have only seven of them."""
    folder = tmp_path_factory.mktemp("mixed")
    maps = write_small_phantoms(folder / "labels", 4)
    for path in maps[2:]:
        image = nib.load(path)
        labels = np.asarray(image.dataobj)
        nib.save(nib.Nifti1Image(np.where(labels > 7, 0, labels), image.affine), path)
    for part, name in ((maps[:2], "default"), (maps[2:], "heartchambers")):
        options = PrepareOptions(
            label_set(name), sampling=SamplingSpec(2000, 2000, 2000), val_share=0.0, workers=1
        )
        dataset, failed = prepare(part, folder / "data", options)
        assert not failed
    assert {len(heart.annotated) for heart in dataset.hearts} == {7, 10}
    return dataset


@pytest.fixture
def batch(mixed: DataSet) -> Batch:
    draws = replace(RECIPE.batch, hearts=4)
    return TrainingBatches(mixed, mixed.of_split("train"), draws, None, seed=0).batch(0)


def network(structures: int, seed: int = 0) -> VecSetAutoEncoder:
    torch.manual_seed(seed)
    return RECIPE.model.build(structures)


def test_it_answers_where_hearts_are_not_annotated_and_nowhere_else(
    mixed: DataSet, batch: Batch
) -> None:
    """By hand, heart by heart; the teacher has its structures in another order, and one more."""
    order = ("PA", *reversed([name for name in mixed.structures if name != "PA"]), "Other")
    model = network(len(order))
    found = Teacher(model, order, mixed.structures, CPU).fill_in(batch)
    for name, values in tensors_of(found).items():
        if not name.endswith(("distances", "known", "volume.points", "taught")):
            assert values is tensors_of(batch)[name]
    places = [order.index(name) for name in mixed.structures]
    assert torch.equal(found.taught, torch.isneginf(batch.near.known[:, 0]))
    fewer = [k for k, name in enumerate(mixed.structures) if name not in ANNOTATED]
    annotated = [k for k, name in enumerate(mixed.structures) if name in ANNOTATED]
    new = batch.volume.count // 2
    without = []
    for heart in range(4):
        unannotated = bool(torch.isneginf(batch.near.known[heart]).any())
        without.append(unannotated)
        shown = slice(heart, heart + 1)
        structure = torch.tensor(places)[batch.structure[shown]]
        for group in ("surface", "near", "volume"):
            (points, before, known_before), (asked, after, known) = (
                [values[heart] for values in (own.points, own.distances, own.known)]
                for own in (batch.queries[group], found.queries[group])
            )
            if not unannotated:
                assert torch.equal(asked, points)
                assert torch.equal(before, after)
                assert torch.equal(known, known_before)
                continue
            with torch.no_grad():
                answer = model(
                    batch.points[shown], structure, None, asked[None], batch.normals[shown]
                )[0, :, places]
            old = slice(new if group == "volume" else 0, None)
            assert torch.equal(asked[old], points[old])
            assert torch.equal(after[old, annotated], before[old, annotated])
            assert torch.equal(known[old, annotated], known_before[old, annotated])
            if group == "volume":
                assert not torch.isin(asked[:new], points).any()
                assert torch.isneginf(known[:new, annotated]).all()
            others = torch.cat([answer[: old.start], before[old]])[:, annotated]
            deepest = others.min(dim=1, keepdim=True).values
            expected = torch.maximum(answer[:, fewer], -deepest)
            torch.testing.assert_close(after[:, fewer], expected, atol=2e-6, rtol=1e-5)
            assert torch.isposinf(known[:, fewer]).all()
            inside = deepest[:, 0] < 0
            assert inside.any()
            assert (after[inside][:, fewer] > 0).all()  # no point is inside two structures
    assert sorted(without) == [False, False, True, True]


def test_points_lie_near_the_surfaces_that_the_teacher_sees(mixed: DataSet) -> None:
    """A teacher that sees three balls; a third of the points is near the surface of each."""
    spec = replace(RECIPE.batch, hearts=4, points=1024, volume=256)
    batch = TrainingBatches(mixed, mixed.of_split("train"), spec, None, seed=0).batch(0)

    class Balls(VecSetAutoEncoder):
        def encode(self, points, structure, anchors=None, normals=None):
            return LatentSet(points, None, torch.zeros(len(points)))

        def process(self, latent_set):
            return latent_set.latents

        def query(self, tokens, positions, points):
            middles = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [0.0, -0.3, 0.0]])
            distances = torch.full((*points.shape[:2], 10), 0.2)
            distances[..., 7:] = torch.cdist(points, middles.expand(len(points), 3, 3)) - 0.2
            return distances

    teacher = Teacher(Balls(RECIPE.model, 10), mixed.structures, mixed.structures, CPU)
    found = teacher.fill_in(batch)
    hearts = torch.isneginf(batch.near.known).any(dim=(1, 2))
    new = batch.volume.count // 2
    there, usual = (
        of.volume.distances[hearts][:, part, 7:].abs()
        for of, part in ((found, slice(0, new)), (found, slice(new, None)))
    )
    for ball in range(3):
        taken, others = there[:, ball::3, ball], usual[..., ball]  # each structure's, in turn
        assert taken.max() < others.quantile(0.3)
        assert taken.median() < others.quantile(0.1)
    torch.manual_seed(1)
    one = teacher.fill_in(batch)
    torch.manual_seed(1)
    assert torch.equal(one.volume.points, teacher.fill_in(batch).volume.points)
    assert not torch.equal(one.volume.points, found.volume.points)


def test_a_batch_in_which_nothing_is_missing_stays_as_it_is(dataset: DataSet) -> None:
    batch = TrainingBatches(dataset, dataset.hearts, RECIPE.batch, None, seed=0).batch(0)
    teacher = Teacher(network(10), dataset.structures, dataset.structures, CPU)
    assert teacher.fill_in(batch) is batch


@pytest.fixture(scope="module")
def taught(mixed: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A recipe with a teacher."""
    teacher = tmp_path_factory.mktemp("teacher") / "run"
    train_model(mixed.folder, teacher, RECIPE)
    return RECIPE.changed({"training": {"teacher": str(teacher)}}, "test")


def test_what_it_says_is_learned_and_it_stays_what_it_was(
    mixed: DataSet, batch: Batch, taught: Recipe, tmp_path: Path
) -> None:
    folder = Path(str(taught.training.teacher))
    weights = folder / "model" / "model.safetensors"
    before = weights.read_bytes()
    longer = {"training": {"steps": 60}, "optimizer": {"muon_lr": 0.02, "adamw_lr": 0.01}}
    teacher = Teacher(
        TrainedModel.from_pretrained(folder).network, mixed.structures, mixed.structures, CPU
    )
    missing = torch.isneginf(batch.near.known)
    says = teacher.fill_in(batch).near.distances
    errors = {}
    for name, recipe in (("alone", RECIPE), ("taught", taught)):
        student = train_model(mixed.folder, tmp_path / name, recipe.changed(longer, "test"))
        assert student.provenance["teacher"] == recipe.training.teacher
        with torch.no_grad():
            answer = student.network(
                batch.points, batch.structure, None, batch.near.points, batch.normals
            )
        errors[name] = float(distance_error(answer, says, 0.1)[missing].mean())
    assert errors["taught"] < 0.5 * errors["alone"]
    assert weights.read_bytes() == before


def test_a_stopped_run_with_a_teacher_goes_on_as_if_it_had_not_been(
    mixed: DataSet, taught: Recipe, tmp_path: Path
) -> None:
    train_model(mixed.folder, tmp_path / "run", taught, stop_after=4)
    train_model(mixed.folder, tmp_path / "run", taught, resume=True)
    train_model(mixed.folder, tmp_path / "whole", taught)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_run_is_not_resumed_with_a_teacher_that_has_learned_since(
    mixed: DataSet, tmp_path: Path
) -> None:
    for seed, resume in ((0, False), (1, True)):
        teacher = replace(untrained(mixed.structures), network=network(10, seed))
        teacher.save_pretrained(tmp_path / "teacher")
        # The teacher was not trained on hearts that are turned.
        changes = {"training": {"teacher": str(tmp_path / "teacher")}, "batch": {"pose": "scan"}}
        recipe = RECIPE.changed(changes, "test")
        if not resume:
            train_model(mixed.folder, tmp_path / "run", recipe, stop_after=4)
    with pytest.raises(InputError, match=r"data\.json: .*another teacher"):
        train_model(mixed.folder, tmp_path / "run", recipe, resume=True)


def test_few_shown_points_are_enough(mixed: DataSet) -> None:
    """Fewer than the points that would be taken near what is missing."""
    spec = replace(RECIPE.batch, hearts=4, points=64, volume=512)
    batch = TrainingBatches(mixed, mixed.of_split("train"), spec, None, seed=0).batch(0)
    found = Teacher(network(10), mixed.structures, mixed.structures, CPU).fill_in(batch)
    moved = (found.volume.points != batch.volume.points).any(dim=-1).sum(dim=1)
    assert sorted(moved.tolist()) == [0, 0, 64, 64]


def test_teachers_that_cannot_be(
    mixed: DataSet, dataset: DataSet, taught: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"training\.teacher .*all hearts annotate all structures"):
        train_model(dataset.folder, tmp_path / "run", taught)
    nowhere = RECIPE.changed({"training": {"teacher": str(tmp_path / "none")}}, "test")
    with pytest.raises(InputError, match=r"training\.teacher .*none"):
        train_model(mixed.folder, tmp_path / "run", nowhere)
    farther = taught.changed({"objective": {"truncation": 0.15}}, "test")
    with pytest.raises(InputError, match=r"distances up to 0\.1 units"):
        train_model(mixed.folder, tmp_path / "run", farther)
    known = tuple(name for name in mixed.structures if name not in ("LAA", "PV"))
    with pytest.raises(InputError, match="does not know LAA, PV"):
        Teacher(network(8), known, mixed.structures, CPU)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
