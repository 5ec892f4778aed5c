"""Looking at a model in training with hearts that it is not trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from support.runs import RECIPE

from vecsetx.anatomy.frame import Frame
from vecsetx.data.dataset import DataSet
from vecsetx.data.partial import PartialSpec
from vecsetx.data.sources import source_of
from vecsetx.data.split import Assignment
from vecsetx.evaluation.scores import score_heart
from vecsetx.evaluation.validation import STRIDE, HeartsValidator, make_validator
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe
from vecsetx.training.objective import objective
from vecsetx.training.point_scores import confusion, point_scores


def model_of(dataset: DataSet) -> torch.nn.Module:
    torch.manual_seed(0)
    return RECIPE.model.build(len(dataset.structures)).eval()


def validator(dataset: DataSet, hearts: int) -> HeartsValidator:
    recipe = RECIPE.changed({"training": {"validate_hearts": hearts}}, "")
    return HeartsValidator(dataset, dataset.hearts, recipe, None)


def test_some_hearts_are_scored_every_time_and_the_others_in_turn(dataset: DataSet) -> None:
    looks = validator(dataset, 3)
    names = [[heart.name for heart in looks.on_grids(turn)] for turn in range(4)]
    a, b, c, d = (heart.name for heart in dataset.hearts)
    assert names == [[a, b, c], [a, b, d], [a, b, c], [a, b, d]]
    assert [h.name for h in validator(dataset, 1).on_grids(5)] == [a]
    assert [h.name for h in validator(dataset, 4).on_grids(5)] == [a, b, c, d]
    assert [h.name for h in validator(dataset, 9).on_grids(0)] == [a, b, c, d]


def test_the_best_is_chosen_by_the_hearts_of_every_time(dataset: DataSet) -> None:
    """By hand: each heart through the model, on every third voxel."""
    model, looks = model_of(dataset), validator(dataset, 3)
    found = looks.summary([looks.validate(model, 1, 0, 1)])
    dice = {}
    for heart in looks.on_grids(1):
        truth = source_of(dataset, heart).segmentation(dataset.structures).label_map
        coarse = truth.downsampled(STRIDE)
        prepared = dataset.open(heart).read()
        assert prepared.info.structures == dataset.structures
        surface, count = prepared.surface, RECIPE.batch.points
        shown = Observation(
            surface.points_mm[:count],
            surface.structure[:count].astype(np.int64),
            surface.normals[:count],
            Frame.around(surface.points_mm, prepared.info.frame.mm_per_unit),
        )
        field = HeartField.encode(model, dataset.structures, shown, RECIPE.objective.truncation)
        predicted = rasterize(field, coarse)
        dice[heart.name] = {
            score.structure: score.dice
            for score in score_heart("", coarse.labels, predicted.labels, dataset.structures)
        }
    assert found.grid_hearts == sorted(dice)
    first, second = list(dice.values())[:2]
    means = [(first[name] + second[name]) / 2 for name in dataset.structures]
    assert found.grid_dice == pytest.approx(sum(means) / len(means))
    third = list(dice.values())[2]
    for name in dataset.structures:
        expected = (first[name] + second[name] + third[name]) / 3
        assert found.grid[name] == pytest.approx(expected)


def test_a_model_that_learns_to_complete_is_looked_at_with_parts(dataset: DataSet) -> None:
    """By hand: grids of each heart as it is whole and in part, all structures scored twice."""
    partial = PartialSpec(hide=1.0, fewest=4, most=6, ramp=10**9)
    recipe = replace(RECIPE.changed({"training": {"validate_hearts": 4}}, ""), partial=partial)
    looks = HeartsValidator(dataset, dataset.hearts, recipe, None)
    model, structures = model_of(dataset), dataset.structures
    found = looks.summary([looks.validate(model, 0, 0, 1)])
    again = HeartsValidator(dataset, dataset.hearts, recipe, None)
    assert found == again.summary([again.validate(model, 0, 0, 1)])
    dice = []
    for heart in dataset.hearts:
        truth, shown = looks._grid(heart)
        assert list(shown) == [heart.name, f"{heart.name}, in part"]
        whole, part = shown.values()
        assert len(np.unique(whole.structure)) == len(structures)
        assert 4 <= len(structures) - len(np.unique(part.structure)) <= 6
        assert len(part.points_mm) == RECIPE.batch.points
        middle = (part.points_mm.min(axis=0) + part.points_mm.max(axis=0)) / 2
        np.testing.assert_allclose(part.frame.center_mm, middle, atol=1e-3)
        for observation in (whole, part):
            field = HeartField.encode(model, structures, observation, RECIPE.objective.truncation)
            predicted = rasterize(field, truth)
            dice += [s.dice for s in score_heart("", truth.labels, predicted.labels, structures)]
    assert found.grid_dice == pytest.approx(np.mean(dice))
    lacking = [len(structures) - len(looks._batches.batch(n).structure.unique()) for n in range(4)]
    assert min(lacking) >= 4  # points, too


def test_a_model_that_learns_from_planes_is_looked_at_with_contours(dataset: DataSet) -> None:
    """They lie on the surfaces of their structures, and have no normals."""
    partial = PartialSpec(planes=1.0, shift_mm=0.0, unaligned=0.0)
    recipe = replace(RECIPE.changed({"training": {"validate_hearts": 4}}, ""), partial=partial)
    looks = HeartsValidator(dataset, dataset.hearts, recipe, None)
    found = looks.summary([looks.validate(model_of(dataset), 0, 0, 1)])
    assert np.isfinite([found.loss, found.grid_dice, *found.terms.values()]).all()
    for place, heart in enumerate(dataset.hearts):
        whole, part = looks._grid(heart)[1].values()
        assert whole.normals is not None
        assert whole.normals.any()
        assert part.normals is not None
        assert not part.normals.any()
        assert len(part.points_mm) == RECIPE.batch.points
        geometry = source_of(dataset, heart).segmentation(dataset.structures).geometry()
        dense = observe(geometry, 40_000, whole.frame.mm_per_unit, 1)
        for k in np.unique(part.structure):
            surface = cKDTree(dense.points_mm[dense.structure == k])
            assert surface.query(part.points_mm[part.structure == k])[0].max() < 3
        assert not looks._batches.batch(place).normals.any()


def test_ranks_share_a_validation(dataset: DataSet) -> None:
    model, looks = model_of(dataset), validator(dataset, 3)
    alone = looks.summary([looks.validate(model, 0, 0, 1)])
    shared = looks.summary([looks.validate(model, 0, rank, 3) for rank in range(3)])
    assert shared.loss == pytest.approx(alone.loss, rel=1e-6)
    assert replace(shared, loss=0.0, terms={}) == replace(alone, loss=0.0, terms={})


def test_the_loss_is_the_mean_over_all_hearts(dataset: DataSet) -> None:
    recipe = RECIPE.changed({"objective": {"eikonal": 0.1, "normal": 0.1}}, "")
    model = model_of(dataset)
    looks = HeartsValidator(dataset, dataset.hearts, recipe, None)
    found = looks.summary([looks.validate(model, 0, 0, 1)])
    losses = [
        objective(model, looks._batches.batch(place), recipe.objective)[0].item()
        for place in range(4)
    ]
    assert found.loss == pytest.approx(sum(losses) / 4, rel=1e-4)
    assert found.terms.keys() == {"near", "volume", "surface", "inside", "eikonal", "normal"}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_point_diagnostics_against_counting_one_by_one(dataset: DataSet) -> None:
    model = model_of(dataset)
    batch = validator(dataset, 1)._batches.batch(0)
    batch.near.known[:, :, 2] = -torch.inf  # as if LV was not annotated
    batch.volume.known[:, :, 2] = -torch.inf
    batch.near.known[0, 5, 0] = -1.0  # one point whose side is not known
    counts = confusion(model, batch)
    latent_set = model.encode(batch.points, batch.structure, normals=batch.normals)
    tokens = model.process(latent_set)
    expected = torch.zeros_like(counts)
    for group in (batch.near, batch.volume):
        distances = model.query(tokens, latent_set.positions, group.points)[0]
        truth, known = group.distances[0], group.known[0]
        for point in range(len(truth)):
            for k in range(truth.shape[1]):
                if known[point, k] > 0:
                    place = 2 * int(not truth[point, k] < 0) + int(not distances[point, k] < 0)
                    expected[k, [0, 2, 1, 3][place]] += 1
    assert torch.equal(counts, expected)
    found = point_scores(counts, dataset.structures)
    assert dataset.structures[2] not in found
    both, wrong, missed, outside = counts[0].tolist()
    assert found[dataset.structures[0]] == {
        "accuracy": (both + outside) / (both + wrong + missed + outside),
        "dice": 2 * both / (2 * both + wrong + missed),
        "iou": both / (both + wrong + missed),
    }


def test_no_validator_without_validation_hearts(dataset: DataSet) -> None:
    places = {heart.patient: Assignment("train", heart.fold) for heart in dataset.hearts}
    assert make_validator(dataset.with_assignments(places), None, RECIPE, None) is None
