"""Looking at a model in training with hearts that it is not trained on.

Every validation looks at the loss and at sample points of all of them, and at the voxel grids of a
few: some the same every time, by which models are compared, and others in turn. A model that learns
from hearts shown in part is looked at with such hearts: points of each as it is shown in part, and
grids as it is shown whole and in part, always the same part.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.partial import OVERSAMPLING, ObservedPoints, PartialView
from vecsetx.data.sources import source_of
from vecsetx.evaluation.scores import Score, score_heart, summarize
from vecsetx.inference.domain import recenter_domain
from vecsetx.model.heart_field import HeartField
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.recipe import Recipe
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import Observation, observe
from vecsetx.training.objective import objective
from vecsetx.training.point_scores import confusion, mean_terms, point_scores
from vecsetx.training.run import Validation, Validator

STRIDE = 3
"""A validation scores every third voxel along each axis of the label map's grid."""

IN_PART = ", in part"
"""What a heart is called by, after its name, that is not shown whole."""


def make_validator(dataset: DataSet, fold: int | None, recipe: Recipe) -> Validator | None:
    """A validator for a data set, or None if it has no validation hearts.

    Raises:
        InputError: A heart that is looked at every time cannot be read.
    """
    hearts = dataset.of_split("val", fold)
    return HeartsValidator(dataset, hearts, recipe) if hearts else None


@dataclass(frozen=True, slots=True)
class RankScores:
    """What one rank finds.

    Attributes:
        terms: The loss terms of each of its hearts.
        counts: Summed over them, as of :func:`~vecsetx.training.point_scores.confusion`.
        scores: Of the hearts whose grids it looked at.
    """

    terms: list[dict[str, float]]
    counts: Int[Tensor, "k 4"]
    scores: list[Score]


class HeartsValidator:
    """Structures that a heart's label map does not annotate are not scored.

    Args:
        dataset: The data set.
        hearts: Its hearts that the model is not trained on.
        recipe: How it is trained.
    """

    def __init__(self, dataset: DataSet, hearts: tuple[HeartEntry, ...], recipe: Recipe) -> None:
        self._dataset, self._recipe = dataset, recipe
        one_by_one = replace(recipe.batch, hearts=1)
        self._partial = replace(recipe.partial, ramp=0)
        self._batches = TrainingBatches(dataset, hearts, one_by_one, None, 0, self._partial)
        on_grids = [heart for heart in hearts if source_of(dataset, heart).has_volume]
        count = recipe.training.validate_hearts
        same = len(on_grids) if len(on_grids) <= count else -(-count // 2)
        self._same, self._others = on_grids[:same], on_grids[same:]
        self._taking_turns = count - same if self._others else 0
        self._read: dict[str, tuple[LabelMap, dict[str, Observation]]] = {}
        for heart in self._same:
            self._grid(heart)

    def on_grids(self, turn: int) -> list[HeartEntry]:
        """The hearts whose grids validation 0, 1, … looks at."""
        first = turn * self._taking_turns
        places = range(first, first + self._taking_turns)
        return self._same + [self._others[place % len(self._others)] for place in places]

    @torch.no_grad()
    def validate(self, model: VecSetAutoEncoder, turn: int, rank: int, ranks: int) -> RankScores:
        """Every ``ranks``-th heart."""
        device = next(model.parameters()).device
        terms, counts = [], torch.zeros(len(self._dataset.structures), 4, dtype=torch.int64)
        for place in range(rank, len(self._batches.files), ranks):
            batch = self._batches.batch(place).to(device)
            found = objective(model, batch, self._recipe.objective)[1]
            terms.append({name: float(term) for name, term in found.items()})
            counts += confusion(model, batch)
        scores = [
            score
            for heart in self.on_grids(turn)[rank::ranks]
            for score in self._score(model, heart)
        ]
        return RankScores(terms, counts, scores)

    def summary(self, shares: list[RankScores]) -> Validation:
        """Means over hearts; of structures, over the hearts that have them."""
        structures = self._dataset.structures
        terms = mean_terms([term for share in shares for term in share.terms])
        counts = torch.stack([share.counts for share in shares]).sum(dim=0)
        scores = [score for share in shares for score in share.scores]
        every_time = {name for heart in self._same for name in self._grid(heart)[1]}
        compared = summarize([score for score in scores if score.heart in every_time])["summary"]
        of_structures = summarize(scores)["summary"]["structures"]
        return Validation(
            loss=sum(terms.values()),
            terms=terms,
            points=point_scores(counts, structures),
            grid_dice=compared["mean"]["dice"],
            grid={
                name: of_structures[name]["dice"]["mean"]
                for name in structures
                if name in of_structures and of_structures[name]["dice"]["n"]
            },
            grid_hearts=sorted({score.heart for score in scores}),
        )

    def _score(self, model: VecSetAutoEncoder, heart: HeartEntry) -> list[Score]:
        structures = self._dataset.structures
        truth, observations = self._grid(heart)
        truncation = self._recipe.objective.truncation
        found: list[Score] = []
        for name, observation in observations.items():
            field = HeartField.encode(model, structures, observation, truncation)
            field = recenter_domain(field, observation.points_mm)
            predicted = rasterize(field, truth)
            found += score_heart(name, truth.labels, predicted.labels, structures)
        return [score for score in found if score.structure in heart.annotated]

    def _grid(self, heart: HeartEntry) -> tuple[LabelMap, dict[str, Observation]]:
        """A heart's truth on every third voxel and what the model is shown by name; read once."""
        if heart.name not in self._read:
            dataset, points = self._dataset, self._recipe.batch.points
            whole = source_of(dataset, heart).segmentation(dataset.structures)
            truth, geometry = whole.label_map, whole.geometry()
            scale = self._batches.files[0].info.frame.mm_per_unit
            shown = {heart.name: observe(geometry, points, scale, seed=0)}
            if view := self._partial.at(0):
                more = observe(geometry, OVERSAMPLING * points, scale, seed=0)
                generator = np.random.default_rng([0, *heart.name.encode()])
                shown[f"{heart.name}{IN_PART}"] = _in_part(more, view, points, generator)
            self._read[heart.name] = truth.downsampled(STRIDE), shown
        return self._read[heart.name]


def _in_part(
    whole: Observation, view: PartialView, points: int, generator: np.random.Generator
) -> Observation:
    """So many points of a part of what is observed; without normals, those are 0."""
    normals = np.zeros_like(whole.points_mm) if whole.normals is None else whole.normals
    candidates = ObservedPoints(whole.points_mm, whole.structure, normals)
    part = view.observe(candidates, points, generator)
    frame = Frame.around(part.points_mm, whole.frame.mm_per_unit)
    return Observation(part.points_mm, part.structure, part.normals, frame)
