"""Scoring a model in training on the voxel grid of hearts that it is not trained on."""

from pathlib import Path

from vecsetx.anatomy.labelmap import read_label_map
from vecsetx.anatomy.structures import LabelSet
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation.scores import score_heart, summarize
from vecsetx.model.field import HeartField
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import observe
from vecsetx.training.loop import Validator

HEARTS = 3
"""Hearts that a validation looks at: the first of the validation split."""

STRIDE = 3
"""A validation scores every third voxel along each axis of the label map's grid."""


def grid_validator(dataset: DataSet, points: int, truncation: float) -> Validator | None:
    """A validator for a data set, or None if it has no validation hearts."""
    hearts = dataset.of_split("val")[:HEARTS]
    if not hearts:
        return None
    label_set = LabelSet.from_dict(dataset.label_set, str(dataset.folder))
    names = dataset.structures
    scale = dataset.open(hearts[0]).info.frame.mm_per_unit
    truths = [
        read_label_map(Path(heart.source)).named(label_set, names, heart.source) for heart in hearts
    ]
    observations = [observe(truth, len(names), points, scale, seed=0) for truth in truths]
    coarse = [truth.every(STRIDE) for truth in truths]

    def validate(model: VecSetAutoEncoder) -> float:
        rows = []
        for heart, truth, observation in zip(hearts, coarse, observations, strict=True):
            field = HeartField.encode(model, names, observation, truncation)
            predicted = rasterize(field, truth)
            rows += score_heart(heart.name, truth.labels, predicted.labels, names)
        return float(summarize(rows)["summary"]["mean"]["dice"])

    return validate
