"""Scoring a model in training on the voxel grid of hearts that it is not trained on."""

from vecsetx.data.dataset import DataSet
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
    """A validator for a data set, or None if it has no validation hearts with a label map.

    Structures that a heart's label map does not annotate are not scored.
    """
    hearts = [h for h in dataset.of_split("val", fold) if h.kind != "npz"][:HEARTS]
    if not hearts:
        return None
    names = dataset.structures
    scale = dataset.open(hearts[0]).info.frame.mm_per_unit
    read = [read_heart(source_of(dataset, heart), names) for heart in hearts]
    observations = [observe(geometry, points, scale, seed=0) for _, geometry in read]
    coarse = [truth.every(STRIDE) for truth, _ in read]

    def validate(model: VecSetAutoEncoder) -> float:
        rows = []
        for heart, truth, observation in zip(hearts, coarse, observations, strict=True):
            field = HeartField.encode(model, names, observation, truncation)
            predicted = rasterize(field, truth)
            scores = score_heart(heart.name, truth.labels, predicted.labels, names)
            rows += [score for score in scores if score.structure in heart.annotated]
        return float(summarize(rows)["summary"]["mean"]["dice"])

    return validate
