"""Hide structures of hearts, and score their completion."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from baselines import AlignedCohort, Cohort
from jaxtyping import Bool, Float
from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import source_of
from vecsetx.evaluation.heart_scores import penalty_mm
from vecsetx.evaluation.overlap import overlaps
from vecsetx.evaluation.surface_distance import voxel_distances
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.sampler import observe

MAIN = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")
"""Chambers and great vessels."""

IN_TURN = ("LA", "RA", "RV", "Aorta")
"""Structures hidden from real hearts, one at a time."""

GROWS_ON = {"LAA": "LA", "PV": "LA", "Coronary": "Aorta"}
"""Structure that real hearts may not annotate → structure that it is attached to."""

VOXEL_MM = 2.0
"""Voxel size of the grid for scores."""

FINEST_MM = 1.0
"""Minimum voxel size of the grid for :func:`branches`."""


@dataclass(frozen=True)
class Hearts:
    """Unseen hearts of one kind, and the training hearts for the baselines."""

    name: str
    dataset: DataSet
    unseen: tuple[HeartEntry, ...]
    cohort: Cohort

    def truth(self, heart: HeartEntry, structures: tuple[str, ...]) -> LabelMap:
        return source_of(self.dataset, heart).segmentation(structures).label_map


Rows = dict[tuple[str, str], list[float]]
"""(contender, structure) → a value per heart."""


def hearts_of(name: str, dataset: DataSet, count: int) -> Hearts:
    structures = dataset.structures
    training = dataset.of_split("train")
    maps = (
        (coarse(source_of(dataset, h).segmentation(structures).label_map), h.annotated)
        for h in training
    )
    return Hearts(name, dataset, dataset.of_split("val")[:count], Cohort.of(maps, structures))


def contenders(
    geometry: Geometry, trained: TrainedModel, cohort: Cohort
) -> dict[str, DistanceField]:
    """Complete a partial heart with the model and the baselines."""
    aligned: AlignedCohort = cohort.aligned(
        observe(geometry, 4 * trained.points, trained.mm_per_unit, seed=0)
    )
    return {
        "model": encode_heart(geometry, trained, EncodeOptions()),
        "nearest heart": aligned.nearest(),
        "mean heart": aligned.mean(),
    }


def coarse(label_map: LabelMap) -> LabelMap:
    return label_map.downsampled(max(round(VOXEL_MM / float(label_map.spacing_mm.max())), 1))


def add_scores(
    rows: Rows,
    contender: str,
    truth: LabelMap,
    found: LabelMap,
    structures: tuple[str, ...],
    scored: Sequence[str],
    distances: Rows | None = None,
) -> None:
    """Add Dice and ASSD of some structures; a missed one gets 0 and the heart's diagonal."""
    counted = overlaps(truth.labels, found.labels, len(structures))
    for name in scored:
        label = structures.index(name) + 1
        overlap = counted[label - 1]
        if not overlap.truth:
            continue
        rows[contender, name].append(overlap.dice or 0.0)
        if distances is not None:
            sides = truth.labels == label, found.labels == label
            missed = overlap.state == "missed"
            distances[contender, name].append(
                penalty_mm(truth) if missed else voxel_distances(*sides, truth.affine).assd_mm()
            )


def hiding(
    hearts: Hearts,
    trained: TrainedModel,
    cases: Iterator[tuple[HeartEntry, tuple[str, ...]]],
) -> dict[str, Any]:
    """Hide structures, and score their completion and the observed structures."""
    structures = trained.structures
    dice: Rows = defaultdict(list)
    assd: Rows = defaultdict(list)
    kept: Rows = defaultdict(list)
    for heart, hide in cases:
        truth = hearts.truth(heart, structures)
        grid = coarse(truth)
        hidden = [structures.index(name) + 1 for name in hide]
        geometry = Geometry.of_label_map(truth.without(hidden), len(structures))
        others = [name for name in heart.annotated if name not in hide]
        for name, field in contenders(geometry, trained, hearts.cohort).items():
            found = rasterize(field, grid)
            add_scores(dice, name, grid, found, structures, hide, assd)
            completed = rasterize(CompletedField.of(field, geometry), grid)
            add_scores(kept, name, grid, completed, structures, hide)
            if name == "model":
                add_scores(dice, "model, observed structures", grid, found, structures, others)
    return {
        "dice": tabled(dice),
        "assd_mm": tabled(assd),
        "dice_keeping_observed": tabled(kept),
    }


def at_random(
    hearts: Hearts, count: int, times: int
) -> Iterator[tuple[HeartEntry, tuple[str, ...]]]:
    generator = np.random.default_rng(0)
    for heart in hearts.unseen:
        for _ in range(times):
            yield heart, tuple(generator.permutation(heart.annotated)[:count].tolist())


def in_turn(hearts: Hearts) -> Iterator[tuple[HeartEntry, tuple[str, ...]]]:
    for heart in hearts.unseen:
        for name in IN_TURN:
            yield heart, (name,)


def whole(hearts: Hearts, trained: TrainedModel) -> dict[str, float]:
    """Return the mean Dice per structure of hearts that are observed whole."""
    dice: Rows = defaultdict(list)
    structures = trained.structures
    for heart in hearts.unseen:
        truth = hearts.truth(heart, structures)
        field = encode_heart(
            Geometry.of_label_map(truth, len(structures)), trained, EncodeOptions(refine=0)
        )
        grid = coarse(truth)
        add_scores(dice, "model", grid, rasterize(field, grid), structures, heart.annotated)
    return tabled(dice)["model"]


def branches(hearts: Hearts, trained: TrainedModel, recycle: int) -> dict[str, dict[str, float]]:
    """Score structures that grow on others (:data:`GROWS_ON`) if all of these are hidden.

    Observed surfaces are kept. Per structure: the share of hearts with a prediction; predicted and
    true volumes; the distance to the structure that it grows on, and its share in pieces that
    touch that structure; and Dice. Unannotated structures have no true volume and no Dice.
    """
    structures = trained.structures
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for heart in hearts.unseen:
        truth = hearts.truth(heart, structures)
        hidden = [structures.index(name) + 1 for name in GROWS_ON]
        geometry = Geometry.of_label_map(truth.without(hidden), len(structures))
        field = encode_heart(geometry, trained, EncodeOptions(recycle=recycle))
        grid = truth.downsampled(max(round(FINEST_MM / float(truth.spacing_mm.max())), 1))
        found = rasterize(CompletedField.of(field, geometry), grid)
        counted = overlaps(grid.labels, found.labels, len(structures))
        for name, parent in GROWS_ON.items():
            own, on = (found.labels == structures.index(n) + 1 for n in (name, parent))
            away_mm = ndimage.distance_transform_edt(~on, sampling=found.spacing_mm)
            overlap = counted[structures.index(name)]
            true_ml = overlap.truth * grid.voxel_volume_mm3 / 1000
            dice = (overlap.dice or 0.0) if overlap.truth else np.nan
            corner_mm = 1.001 * float(np.linalg.norm(found.spacing_mm))
            attached = attachment(own, away_mm, corner_mm)
            rows[name].append((volume_ml(found, own), true_ml, dice, *attached))
    return {name: _of_branch(np.array(values).T) for name, values in rows.items()}


def _of_branch(values: Float[np.ndarray, "5 hearts"]) -> dict[str, float]:
    volume_ml, true_ml, dice, away_mm, attached = values
    found = {
        "share_of_hearts": float((volume_ml > 0).mean()),
        "smallest_ml": float(volume_ml.min()),
        "mean_ml": float(volume_ml.mean()),
        "largest_ml": float(volume_ml.max()),
        "farthest_from_parent_mm": float(away_mm.max()),
        "share_attached": float(attached.mean()),
    }
    if true_ml.any():
        found |= {"true_ml": float(true_ml.mean()), "dice": float(np.nanmean(dice))}
    return found


def volume_ml(label_map: LabelMap, mask: Bool[np.ndarray, "x y z"]) -> float:
    return float(mask.sum()) * label_map.voxel_volume_mm3 / 1000


def attachment(
    own: Bool[np.ndarray, "x y z"], away_mm: Float[np.ndarray, "x y z"], touching_mm: float
) -> tuple[float, float]:
    """Return a structure's distance to another, and its share in pieces that touch the other.

    Pieces are 26-connected, as vessels may be thinner than two voxels. A piece touches the
    other structure if it has a voxel at most ``touching_mm`` away from it.
    """
    pieces, count = ndimage.label(own, np.ones((3, 3, 3)))
    if not count:
        return np.inf, 0.0
    nearest_mm = ndimage.minimum(away_mm, pieces, np.arange(1, count + 1))
    sizes = np.bincount(pieces.ravel())[1:]
    touching = nearest_mm <= touching_mm
    return float(nearest_mm.min()), float(sizes[touching].sum() / sizes.sum())


def tabled(rows: Rows) -> dict[str, dict[str, float]]:
    """Average over hearts: contender → structure → mean; ``main`` is the mean over :data:`MAIN`."""
    table: dict[str, dict[str, float]] = {}
    for (contender, name), values in rows.items():
        table.setdefault(contender, {})[name] = statistics.fmean(values)
    for means in table.values():
        main = [value for name, value in means.items() if name in MAIN]
        means["mean"] = statistics.fmean(means.values())
        means["main"] = statistics.fmean(main) if main else float("nan")
    return table
