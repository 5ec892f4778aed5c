"""Scores of one heart, in mm, with the rules for missing structures.

``docs/scores.md`` lists the rules in a table.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError
from vecsetx.evaluation.overlap import overlaps
from vecsetx.evaluation.score_measures import Value
from vecsetx.evaluation.scores import Score
from vecsetx.evaluation.surface_distance import (
    element_distances,
    mesh_distances,
    voxel_distances,
)
from vecsetx.evaluation.topology import centreline_dice, piece_count
from vecsetx.progress import staged
from vecsetx.reconstruction.surfaces import Surface

TOLERANCE_MM = 1.0
"""Default tolerance of the normalised surface distance: surfaces this close agree."""

_Values = dict[str, Value]

_ON_GRID = (
    *("dice", "iou", "nsd", "assd_mm", "hd95_mm", "volume_error_ml", "volume_error_relative"),
    *("piece_error", "truth_ml", "prediction_ml", "truth_pieces", "prediction_pieces"),
)
_OF_MESHES = ("mesh_nsd", "mesh_assd_mm", "mesh_hd95_mm", "mesh_volume_error_ml")


def penalty_mm(truth: LabelMap) -> float:
    """Return the distance that a missed or invented structure gets: the true heart's diagonal.

    It is the diagonal of the smallest part of the grid that contains every structure of the truth.
    All distances are capped at it, so that omitting a structure never scores better than placing it
    badly.

    Raises:
        InputError: The truth is empty.
    """
    sizes = [side.stop - (side.start or 0) for side in truth.bounding_box()]
    if not all(sizes):
        raise InputError(
            "the truth contains none of the structures, so there is nothing to score; leave out "
            "this heart"
        )
    # The longest diagonal of the box, which is a parallelepiped if the grid is sheared.
    i, j, k = (truth.affine[:3, :3] * sizes).T
    return float(max(np.linalg.norm(i + a * j + b * k) for a in (-1, 1) for b in (-1, 1)))


@staged("scoring voxels")
def score_label_maps(
    heart: str,
    truth: LabelMap,
    prediction: LabelMap,
    structures: Sequence[str],
    annotated: Collection[str],
    tolerance_mm: float = TOLERANCE_MM,
) -> list[Score]:
    """Score every structure of one heart on the voxel grid, in mm.

    Voxels that the truth does not know are left out, as if the grid ended there.

    Args:
        heart: The heart's name.
        truth: Labels 1…K in the order of ``structures``.
        prediction: The same, on the same grid.
        structures: Names of the K structures.
        annotated: Structures that the truth annotates; others are not scored.
        tolerance_mm: Tolerance of the normalised surface distance.

    Returns:
        A row per structure.

    Raises:
        InputError: The grids differ, the truth is empty, a label is outside 0…K, or a structure is
            unknown.
    """
    if not np.allclose(truth.affine, prediction.affine):
        raise InputError(
            f"{heart}: truth and prediction must have the same grid, but their affines differ; "
            "resample the prediction"
        )
    prediction = truth.known_part(prediction)
    counted = overlaps(truth.labels, prediction.labels, len(structures))
    limit_mm = penalty_mm(truth)
    boxes = [ndimage.find_objects(side.labels, len(structures)) for side in (truth, prediction)]
    rows = []
    for index, (name, overlap) in enumerate(zip(structures, counted, strict=True)):
        is_vessel = structure(name).vessel
        measures = (*_ON_GRID, "cldice") if is_vessel else _ON_GRID
        values: _Values = dict.fromkeys(measures)
        state = overlap.state if name in annotated else "not annotated"
        if state not in ("absent", "not annotated"):
            # Only the part of the grid that contains the structure in either map matters.
            box = _around([of_side[index] for of_side in boxes])
            sides = truth.labels[box] == index + 1, prediction.labels[box] == index + 1
            agreement = (
                _agreement_on_grid(*sides, truth.affine, tolerance_mm, limit_mm, is_vessel)
                if state == "found"
                else _disagreement(limit_mm)
            )
            # A missed or invented vessel has no common centreline: clDice 0.
            found = {"dice": overlap.dice, "iou": overlap.iou, "cldice": 0.0} | agreement
            found |= _volumes(*sides, truth.voxel_volume_mm3 / 1000) | _pieces(*sides)
            values |= {measure: found[measure] for measure in measures}
        rows.append(Score(heart, name, state, values))
    return rows


@staged("scoring meshes")
def with_mesh_scores(
    rows: Iterable[Score],
    truth: Mapping[str, Surface],
    prediction: Mapping[str, Surface],
    limit_mm: float,
    tolerance_mm: float = TOLERANCE_MM,
) -> list[Score]:
    """Return the same rows with the measures of the meshes added.

    Args:
        rows: Scores of one heart.
        truth: Structure name → closed surface, RAS+ mm, without absent structures.
        prediction: The same for the prediction.
        limit_mm: Cap of distances, from :func:`penalty_mm`.
        tolerance_mm: Tolerance of the normalised surface distance.
    """
    scored = []
    for row in rows:
        values: _Values = dict.fromkeys(_OF_MESHES)
        true, predicted = truth.get(row.structure), prediction.get(row.structure)
        if row.state != "not annotated" and (true or predicted):
            if true and predicted:
                found = _agreement_of_meshes(true, predicted, tolerance_mm, limit_mm)
            else:
                found = _disagreement(limit_mm)
            values |= {f"mesh_{name}": value for name, value in found.items()}
            values["mesh_volume_error_ml"] = _mesh_ml(predicted) - _mesh_ml(true)
        scored.append(replace(row, values={**row.values, **values}))
    return scored


def _agreement_on_grid(
    truth: Bool[np.ndarray, "i j k"],
    prediction: Bool[np.ndarray, "i j k"],
    affine: Float[np.ndarray, "4 4"],
    tolerance_mm: float,
    limit_mm: float,
    is_vessel: bool,
) -> _Values:
    distances = voxel_distances(truth, prediction, affine)
    values: _Values = {
        "nsd": element_distances(truth, prediction, affine).nsd(tolerance_mm),
        "assd_mm": min(distances.assd_mm(), limit_mm),
        "hd95_mm": min(distances.hd95_mm(), limit_mm),
    }
    if is_vessel:
        values["cldice"] = centreline_dice(truth, prediction)
    return values


def _agreement_of_meshes(
    truth: Surface, prediction: Surface, tolerance_mm: float, limit_mm: float
) -> _Values:
    distances = mesh_distances(truth, prediction)
    return {
        "nsd": distances.nsd(tolerance_mm),
        "assd_mm": min(distances.assd_mm(), limit_mm),
        "hd95_mm": min(distances.hd95_mm(), limit_mm),
    }


def _disagreement(limit_mm: float) -> _Values:
    """Return the values of a missed or invented structure."""
    return {"nsd": 0.0, "assd_mm": limit_mm, "hd95_mm": limit_mm}


def _volumes(truth: np.ndarray, prediction: np.ndarray, voxel_ml: float) -> _Values:
    true_ml, predicted_ml = (int(side.sum()) * voxel_ml for side in (truth, prediction))
    error_ml = predicted_ml - true_ml
    return {
        "truth_ml": true_ml,
        "prediction_ml": predicted_ml,
        "volume_error_ml": error_ml,
        "volume_error_relative": error_ml / true_ml if true_ml else None,
    }


def _pieces(truth: np.ndarray, prediction: np.ndarray) -> _Values:
    true, predicted = piece_count(truth), piece_count(prediction)
    return {
        "truth_pieces": true,
        "prediction_pieces": predicted,
        "piece_error": predicted - true,
    }


def _mesh_ml(surface: Surface | None) -> float:
    return surface.volume_mm3 / 1000 if surface else 0.0


def _around(boxes: Sequence[tuple[slice, ...] | None]) -> tuple[slice, ...]:
    """Return the smallest box that contains all of the boxes."""
    existing = [box for box in boxes if box is not None]
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*existing, strict=True)
    )
