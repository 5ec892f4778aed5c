"""What a model's standard deviations are worth where a scan ends: a heart is cut, and completed."""

import numpy as np

from vecsetx.evaluation.calibration import VertexErrors
from vecsetx.evaluation.cut import Cut, errors_beyond
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.geometry import Geometry

SPACING_MM = 2.5
"""Edge of the voxels on which the completed heart is meshed."""


def cut_errors(
    heart: str, whole: Geometry, trained: TrainedModel, members: int, seed: int
) -> VertexErrors:
    """Cut a heart by a random plane, and look at what becomes of the structures that it cuts.

    They are completed with what is observed kept as it is.

    Args:
        heart: Its name.
        whole: All of it.
        trained: The model.
        members: TrainingBatches of its latent set.
        seed: Seed of the plane, the members and the choice of vertices.

    Returns:
        Of the surfaces of these structures beyond the plane; no vertices if there are none.
    """
    generator = np.random.default_rng([seed, *heart.encode()])
    case = Cut.at_random(whole.label_map, generator)
    shown = Geometry.of_label_map(case.left, len(trained.structures))
    field = encode_heart(shown, trained, EncodeOptions(seed=seed))
    completed = CompletedField.of(field, shown)
    cut = np.flatnonzero(completed.visibility.cut).tolist()
    ensemble = encode_ensemble(shown, trained, members, seed, domain=field.domain)
    return errors_beyond(
        case,
        completed,
        ensemble.mapped(completed.with_model),
        [trained.structures[k] for k in cut],
        generator,
        SPACING_MM,
        Visibility.of_geometry(whole),
    )
