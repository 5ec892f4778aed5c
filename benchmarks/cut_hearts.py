"""Cut hearts by random planes, and score the completion beyond the plane."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from partial_hearts import VOXEL_MM, Hearts, Rows, add_scores, coarse, contenders, tabled
from seam import seams_mm

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.evaluation.calibration import Calibration, VertexErrors
from vecsetx.evaluation.cut import Cut, errors_beyond
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.rasterize import rasterize

RECYCLE_AND_REFINE = EncodeOptions(recycle=1, refine=50)
"""Options for the most accurate completion."""

SHARE_BEYOND = 0.05
"""A structure is scored beyond a plane if more than this share of it lies there."""


def cut(hearts: Hearts, trained: TrainedModel, sd_factor: SdFactor, times: int) -> dict[str, Any]:
    """Cut hearts by random planes, and score the completion beyond.

    Uncertainty is scored on the hearts that were not used to fit the model's factors.

    Args:
        hearts: The hearts.
        trained: The model.
        sd_factor: The model's factors on standard deviations.
        times: Number of cuts per heart.
    """
    structures = trained.structures
    generator, chooser = np.random.default_rng(1), np.random.default_rng(2)
    dice: Rows = defaultdict(list)
    seams: list[float] = []
    errors: list[VertexErrors] = []
    for heart in hearts.unseen:
        for _ in range(times):
            case = Cut.at_random(hearts.truth(heart, structures), generator)
            geometry = Geometry.of_label_map(case.left, len(structures))
            fields = contenders(geometry, trained, hearts.cohort)
            fields["model, recycled and refined"] = encode_heart(
                geometry, trained, RECYCLE_AND_REFINE
            )
            completed = {name: CompletedField.of(f, geometry) for name, f in fields.items()}
            scored = hidden_structures(case.hidden, case.whole, structures)
            add_scores_beyond(dice, case, completed, scored)
            model = completed["model"]
            seams.append(float(seams_mm(model, case.left).max()))
            if heart.name not in sd_factor.hearts_fitted:
                factors = sd_factor.each(structures, model.visibility.cut)
                how = trained, sd_factor.members, 0, factors, fields["model"].domain
                ensemble = encode_ensemble(geometry, *how).mapped(model.with_model)
                errors.append(errors_beyond(case, model, ensemble, scored, chooser, VOXEL_MM))
    return {
        "dice": tabled(dice),
        "largest_seam_mm": max(seams),
        "cuts": len(seams),
        "uncertainty_hearts": [
            h.name for h in hearts.unseen if h.name not in sd_factor.hearts_fitted
        ],
        "uncertainty": Calibration.of(VertexErrors.joined(errors)).to_dict() if errors else None,
    }


def add_scores_beyond(
    dice: Rows, case: Cut, completed: Mapping[str, CompletedField], scored: Sequence[str]
) -> None:
    grid = coarse(case.hidden)
    in_view = -(-case.first // round(len(case.hidden.labels) / len(grid.labels)))
    for name, field in completed.items():
        found = rasterize(field, grid)
        found.labels[in_view:] = 0
        add_scores(dice, name, grid, found, field.structures, scored)


def hidden_structures(hidden: LabelMap, whole: LabelMap, structures: tuple[str, ...]) -> list[str]:
    """Return the structures of which more than :data:`SHARE_BEYOND` is hidden."""
    maps = (hidden, whole)
    lost, total = (np.bincount(m.labels.ravel(), minlength=len(structures) + 1) for m in maps)
    shares = lost[1:] / np.maximum(total[1:], 1)
    return [name for name, share in zip(structures, shares, strict=True) if share > SHARE_BEYOND]
