"""Hearts cut by a random plane, and how well what lies beyond it is told."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import igl
import numpy as np
from partial_hearts import FINEST_MM, Hearts, Rows, add_scores, coarse, contenders, tabled
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.labelmap import LabelMap
from vecsetx.evaluation.calibration import VERTICES, Calibration, VertexErrors
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import EncodeOptions, encode_heart
from vecsetx.pipeline.latent_draws import DRAWS, draw_ensemble
from vecsetx.reconstruction.completed import CompletedField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.seam import seams_mm
from vecsetx.reconstruction.surfaces import field_surfaces, label_map_surfaces
from vecsetx.reconstruction.uncertainty import Ensemble
from vecsetx.sampling.geometry import Geometry

AGAIN = EncodeOptions(recycle=1, refine=50)
"""How a model is asked to do its best."""

SHARE_BEYOND = 0.05
"""A structure is scored beyond a plane if the plane takes at least this share of it."""


@dataclass(frozen=True)
class Cut:
    """A heart on a grid whose first axis is across a plane, which takes the first slices.

    Attributes:
        whole: All of it.
        first: The first slice that is left.
    """

    whole: LabelMap
    first: int

    @classmethod
    def of(cls, label_map: LabelMap, generator: np.random.Generator) -> "Cut":
        """Cut 10 to 40 % off a heart by a random plane."""
        spacing_mm = max(FINEST_MM, float(label_map.spacing_mm.max()))
        whole = oblique(label_map, generator, spacing_mm)
        heights = np.flatnonzero(whole.labels.any(axis=(1, 2)))
        filled = (whole.labels > 0).sum(axis=(1, 2)).cumsum()
        first = int(np.searchsorted(filled, generator.uniform(0.1, 0.4) * filled[-1]))
        return cls(whole, min(max(first, int(heights[0]) + 1), int(heights[-1]) - 8))

    @property
    def left(self) -> LabelMap:
        """What a scan that ends at the plane shows."""
        affine = self.whole.affine.copy()
        affine[:3, 3] = self.whole.to_mm(np.array([[float(self.first), 0, 0]]))[0]
        return LabelMap(np.ascontiguousarray(self.whole.labels[self.first :]), affine)

    @property
    def hidden(self) -> LabelMap:
        """What lies beyond the plane, on the whole grid."""
        labels = self.whole.labels.copy()
        labels[self.first :] = 0
        return replace(self.whole, labels=labels)


def cut(
    hearts: Hearts, trained: TrainedModel, calibration: Mapping[str, Any], times: int
) -> dict[str, Any]:
    """Cut hearts by random planes, and score what lies beyond.

    How sure the model is there is told of the hearts that its factors were not measured on.

    Args:
        hearts: Which.
        trained: The model.
        calibration: As in its ``calibration.json``.
        times: Cuts of each heart.
    """
    generator, chooser = np.random.default_rng(1), np.random.default_rng(2)
    factors = np.array(
        [calibration["factors"].get(name, calibration["factor"]) for name in trained.structures]
    )
    dice: Rows = defaultdict(list)
    seams: list[float] = []
    errors: list[VertexErrors] = []
    for heart in hearts.unseen:
        for _ in range(times):
            case = Cut.of(hearts.truth(heart, trained.structures), generator)
            geometry = Geometry.of_label_map(case.left, len(trained.structures))
            fields = contenders(geometry, trained, hearts.cohort)
            fields["model, recycled and refined"] = encode_heart(geometry, trained, AGAIN)
            completed = {name: CompletedField.of(f, geometry) for name, f in fields.items()}
            scored = taken(case.hidden, case.whole, trained.structures)
            add_scores_beyond(dice, case, completed, scored)
            model = completed["model"]
            seams.append(float(seams_mm(model, case.left).max()))
            if heart.name in calibration["hearts_tested"]:
                ensemble = draw_ensemble(
                    geometry, trained, DRAWS, 0, factors, model.model.domain
                ).mapped(lambda draw, as_observed=model: replace(as_observed, model=draw))
                errors.append(errors_beyond(case, model, ensemble, scored, chooser))
    return {
        "dice": tabled(dice),
        "largest_seam_mm": max(seams),
        "cuts": len(seams),
        "sure": Calibration.of(VertexErrors.joined(errors)).to_dict() if errors else None,
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


def errors_beyond(
    case: Cut,
    model: CompletedField,
    ensemble: Ensemble,
    scored: Sequence[str],
    generator: np.random.Generator,
) -> VertexErrors:
    """Errors and standard deviations at vertices that are inferred, of some structures."""
    true = label_map_surfaces(case.whole, model.structures)
    vertices_mm, structure, error_mm = [np.empty((0, 3))], [np.empty(0, int)], [np.empty(0)]
    for name, surface in field_surfaces(model, Grid.of(coarse(case.whole))).items():
        if name not in scored:
            continue
        k = model.structures.index(name)
        inferred = surface.vertices_mm[~model.evidence.of_surface(surface.vertices_mm, k)]
        chosen = generator.permutation(inferred)[:VERTICES].astype(float)
        squared, *_ = igl.point_mesh_squared_distance(
            chosen, true[name].vertices_mm.astype(float), true[name].faces
        )
        vertices_mm.append(chosen)
        structure.append(np.full(len(chosen), k))
        error_mm.append(np.sqrt(squared))
    numbers = np.concatenate(structure)
    sd_mm = ensemble.spread(np.concatenate(vertices_mm)).sd_mm[np.arange(len(numbers)), numbers]
    return VertexErrors(np.concatenate(error_mm), sd_mm.astype(float))


def oblique(label_map: LabelMap, generator: np.random.Generator, spacing_mm: float) -> LabelMap:
    """The same heart on a grid that is turned at random, so that its faces are random planes."""
    axes = Rotation.random(random_state=generator).as_matrix()
    inside_mm = label_map.to_mm(np.argwhere(label_map.labels).astype(float))
    along = inside_mm @ axes
    room_mm = 4 * spacing_mm
    low, high = along.min(axis=0) - room_mm, along.max(axis=0) + room_mm
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = axes @ low
    shape = np.ceil((high - low) / spacing_mm).astype(int) + 1
    grid = Grid(tuple(shape.tolist()), affine)
    points_mm = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3).astype(float))
    return LabelMap(label_map.at(points_mm).reshape(grid.shape), affine)


def taken(hidden: LabelMap, whole: LabelMap, structures: tuple[str, ...]) -> list[str]:
    """Structures of which a good share is hidden."""
    maps = (hidden, whole)
    lost, all_of_it = (np.bincount(m.labels.ravel(), minlength=len(structures) + 1) for m in maps)
    shares = lost[1:] / np.maximum(all_of_it[1:], 1)
    return [name for name, share in zip(structures, shares, strict=True) if share > SHARE_BEYOND]
