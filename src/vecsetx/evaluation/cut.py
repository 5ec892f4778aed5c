"""Hearts cut by a random plane, as the edge of a scan cuts them, and what is inferred beyond it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import igl
import numpy as np
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.evaluation.calibration import VERTICES, VertexErrors
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.surfaces import field_surfaces, label_map_surfaces

FINEST_MM = 1.0
"""Voxels of hearts that are cut are no finer than this."""

_LEAST_SLICES = 8
"""At least so many slices of a heart are left."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A heart on a grid whose first axis is across a plane, which takes the first slices.

    Attributes:
        whole: All of it, labels 1…K.
        first: The first slice that is left.
    """

    whole: LabelMap
    first: int

    @classmethod
    def at_random(cls, label_map: LabelMap, generator: np.random.Generator) -> "Cut":
        """Cut 10 to 40 % off a heart by a random plane.

        Args:
            label_map: The heart, labels 1…K.
            generator: Source of the plane.
        """
        spacing_mm = max(FINEST_MM, float(label_map.spacing_mm.max()))
        whole = oblique(label_map, generator, spacing_mm)
        heights = np.flatnonzero(whole.labels.any(axis=(1, 2)))
        filled = (whole.labels > 0).sum(axis=(1, 2)).cumsum()
        first = int(np.searchsorted(filled, generator.uniform(0.1, 0.4) * filled[-1]))
        return cls(whole, min(max(first, int(heights[0]) + 1), int(heights[-1]) - _LEAST_SLICES))

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


def oblique(label_map: LabelMap, generator: np.random.Generator, spacing_mm: float) -> LabelMap:
    """The same heart on a grid that is turned at random, so that its faces are random planes.

    Args:
        label_map: The heart.
        generator: Source of the turn.
        spacing_mm: Of the grid, which goes four voxels beyond the heart.
    """
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


def errors_beyond(
    case: Cut,
    completed: CompletedField,
    ensemble: Ensemble,
    scored: Collection[str],
    generator: np.random.Generator,
    spacing_mm: float,
    visibility: Visibility | None = None,
) -> VertexErrors:
    """Errors and standard deviations at vertices that were inferred.

    Args:
        case: The heart.
        completed: It, completed from what is left.
        ensemble: TrainingBatches that were shown the same, completed likewise.
        scored: Structures that are looked at, of each :data:`VERTICES` vertices at most.
        generator: Source of their choice.
        spacing_mm: Of the grid on which the completed heart is meshed.
        visibility: What the whole heart's own scan shows: vertices where that ends are left out.
            None if it shows everything.
    """
    true = label_map_surfaces(case.whole, completed.structures)
    corners_mm = case.whole.to_mm(np.argwhere(case.whole.labels).astype(float))
    room_mm = 10 * spacing_mm
    grid = Grid.around(
        corners_mm.min(axis=0) - room_mm, corners_mm.max(axis=0) + room_mm, spacing_mm
    )
    vertices_mm, structure, error_mm = [np.empty((0, 3))], [np.empty(0, int)], [np.empty(0)]
    for name, surface in field_surfaces(completed, grid).items():
        if name not in scored or name not in true:
            continue
        k = completed.structures.index(name)
        inferred = surface.vertices_mm[
            ~completed.visibility.observed_vertices(surface.vertices_mm, k)
        ]
        if visibility is not None:
            inferred = inferred[visibility.observed_vertices(inferred, k)]
        chosen = generator.permutation(inferred)[:VERTICES].astype(float)
        if len(chosen) == 0:
            continue
        squared, *_ = igl.point_mesh_squared_distance(
            chosen, true[name].vertices_mm.astype(float), true[name].faces
        )
        vertices_mm.append(chosen)
        structure.append(np.full(len(chosen), k))
        error_mm.append(np.sqrt(squared))
    numbers = np.concatenate(structure)
    sd_mm = ensemble.spread(np.concatenate(vertices_mm)).sd_mm[np.arange(len(numbers)), numbers]
    return VertexErrors(np.concatenate(error_mm), sd_mm.astype(float))
