"""Scoring a model in training on the voxel grid of hearts that it is not trained on."""

from typing import Any

from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.evaluation.scores import score_heart, summarize
from vecsetx.model.field import HeartField
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.pipeline.hearts import read_heart
from vecsetx.pipeline.inputs import source_of
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import observe
from vecsetx.training.loop import Validator

HEARTS = 3
"""Hearts that a validation looks at: the first of the validation split."""

STRIDE = 3
"""A validation scores every third voxel along each axis of the label map's grid."""


def grid_validator(
    dataset: DataSet, fold: int | None, points: int, truncation: float
) -> Validator | None:
    """A validator for a data set, or None if it has no validation hearts with a label map."""
    hearts = [h for h in dataset.of_split("val", fold) if h.kind != "npz"][:HEARTS]
    return _GridValidator(dataset, hearts, points, truncation) if hearts else None


class _GridValidator:
    """Structures that a heart's label map does not annotate are not scored."""

    def __init__(
        self, dataset: DataSet, hearts: list[HeartEntry], points: int, truncation: float
    ) -> None:
        self._hearts, self._structures, self._truncation = hearts, dataset.structures, truncation
        scale = dataset.open(hearts[0]).info.frame.mm_per_unit
        read = [read_heart(source_of(dataset, heart), self._structures) for heart in hearts]
        self._observations = [observe(geometry, points, scale, seed=0) for _, geometry in read]
        self._truths = [truth.every(STRIDE) for truth, _ in read]

    def score(self, model: VecSetAutoEncoder, rank: int, ranks: int) -> list[Any]:
        """Scores of every ``ranks``-th heart."""
        scores = []
        for index in range(rank, len(self._hearts), ranks):
            heart, truth = self._hearts[index], self._truths[index]
            field = HeartField.encode(
                model, self._structures, self._observations[index], self._truncation
            )
            predicted = rasterize(field, truth)
            found = score_heart(heart.name, truth.labels, predicted.labels, self._structures)
            scores += [score for score in found if score.structure in heart.annotated]
        return scores

    def mean_dice(self, scores: list[Any]) -> float:
        """Mean over the structures of their mean over hearts."""
        return float(summarize(scores)["summary"]["mean"]["dice"])
