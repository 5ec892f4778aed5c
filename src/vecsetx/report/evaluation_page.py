"""The page of ``vecsetx evaluate``: scores, and some hearts in 3-D."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from vecsetx.evaluation.reconstruction_scores import Reconstruction
from vecsetx.evaluation.score_measures import Value
from vecsetx.inference.heart_meshes import heart_meshes, mesh_grid
from vecsetx.model.heart_field import HeartField
from vecsetx.progress import staged
from vecsetx.report.page import Report, write_report
from vecsetx.report.ranking import mean_dice
from vecsetx.report.scene import HeartView, PackedHeart
from vecsetx.training.journal import read_journal

__all__ = ["PAGE_VOXELS", "SHOWN_HEARTS", "heart_view", "write_evaluation_page"]

SHOWN_HEARTS = 6
"""Hearts in the page's 3-D viewer: the best, the median, the worst and some between them."""

_PAGE_RESOLUTION, PAGE_VOXELS = 128, 160
"""Voxels along the heart's surfaces on the page. If the longest side of the truth's grid has at
most :data:`PAGE_VOXELS`, the page shows the scored surfaces themselves."""


@staged("meshes for the page")
def heart_view(
    name: str,
    reconstruction: Reconstruction,
    field: HeartField,
    found: Mapping[str, Mapping[str, Value]],
    observed: Collection[str],
) -> HeartView:
    """Return a heart as the page's viewer shows it.

    Args:
        name: The heart's name.
        reconstruction: Its truth and its field on the truth's grid.
        field: The field.
        found: Structure name → its scores, ``dice`` among them.
        observed: Names of the structures that the model was shown.
    """
    surfaces = (
        reconstruction.surfaces
        if max(reconstruction.truth.shape) <= PAGE_VOXELS
        else heart_meshes(
            field, mesh_grid(field, _PAGE_RESOLUTION), supports=reconstruction.supports
        ).surfaces
    )
    dice = mean_dice(found)
    return HeartView(
        name,
        truth=reconstruction.true_surfaces,
        reconstruction=surfaces,
        dice=math.nan if dice is None else dice,
        input_map=reconstruction.observed,
        structures=field.structures,
        inferred=tuple(name for name in field.structures if name not in observed),
    )


def write_evaluation_page(
    path: Path, model: Path, scores: dict[str, Any], hearts: Sequence[PackedHeart]
) -> None:
    """Write the page of an evaluation.

    Args:
        path: The file.
        model: Folder of the run, whose training curves the page shows.
        scores: As in ``scores.json``.
        hearts: The hearts of the viewer.
    """
    report = Report(
        title="Reconstructed hearts",
        scores=scores,
        history=read_journal(model / "metrics.jsonl"),
        hearts=hearts,
        provenance={key: str(value) for key, value in scores["provenance"].items()},
    )
    write_report(path, report)
