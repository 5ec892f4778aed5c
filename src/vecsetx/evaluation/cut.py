"""Hearts cut by a random plane, as by the edge of a scan, and errors of the parts beyond it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.evaluation.calibration import VertexErrors, vertex_errors
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.ensemble import Ensemble, encode_ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.model.saved import TrainedModel
from vecsetx.progress import staged
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.surfaces import field_surfaces, label_map_surfaces

__all__ = ["Cut", "cut_errors", "errors_beyond", "oblique"]

_FINEST_MM = 1.0
"""Smallest voxel edge of a cut heart."""

_LEAST_SLICES = 8
"""Number of slices that remain of a heart at least."""

_SPACING_MM = 2.5
"""Voxel edge of the grid on which the completed heart is meshed."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A heart on a grid whose first axis is normal to a plane, which cuts off the first slices.

    Attributes:
        whole: The whole heart, labels 1…K.
        first: Index of the first slice that remains.
    """

    whole: LabelMap
    first: int

    @classmethod
    def at_random(cls, label_map: LabelMap, generator: np.random.Generator) -> "Cut":
        """Cut off 10 to 40% of a heart's voxels by a random plane.

        Args:
            label_map: The heart, labels 1…K.
            generator: Chooses the plane.
        """
        spacing_mm = max(_FINEST_MM, float(label_map.spacing_mm.max()))
        whole = oblique(label_map, generator, spacing_mm)
        # The slice below which that share of the labelled voxels lies, within the heart.
        heights = np.flatnonzero(whole.labels.any(axis=(1, 2)))
        filled = (whole.labels > 0).sum(axis=(1, 2)).cumsum()
        first = int(np.searchsorted(filled, generator.uniform(0.1, 0.4) * filled[-1]))
        return cls(whole, min(max(first, int(heights[0]) + 1), int(heights[-1]) - _LEAST_SLICES))

    @property
    def left(self) -> LabelMap:
        """The part visible in a scan that ends at the plane."""
        # The first remaining slice becomes slice 0.
        affine = self.whole.affine.copy()
        affine[:3, 3] = self.whole.to_mm(np.array([[float(self.first), 0, 0]]))[0]
        return LabelMap(np.ascontiguousarray(self.whole.labels[self.first :]), affine)

    @property
    def hidden(self) -> LabelMap:
        """The part beyond the plane, on the whole grid."""
        labels = self.whole.labels.copy()
        labels[self.first :] = 0
        return replace(self.whole, labels=labels)


def oblique(label_map: LabelMap, generator: np.random.Generator, spacing_mm: float) -> LabelMap:
    """Resample a heart on a randomly rotated grid, whose faces are random planes.

    Args:
        label_map: The heart.
        generator: Chooses the rotation.
        spacing_mm: Voxel edge of the grid, which extends four voxels beyond the heart.
    """
    axes = Rotation.random(random_state=generator).as_matrix()
    inside_mm = label_map.to_mm(np.argwhere(label_map.labels).astype(float))
    # The heart's extent along the columns of the rotation, the new grid's axes.
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


@staged("cut by a plane")
def cut_errors(
    heart: str, whole: Geometry, trained: TrainedModel, members: int, seed: int
) -> VertexErrors:
    """Cut a heart by a random plane, complete it, and compare the cut structures with the truth.

    The completion keeps the observed surfaces.

    Args:
        heart: The heart's name.
        whole: The whole heart.
        trained: The model.
        members: Number of ensemble members.
        seed: Seed of the plane, the members and the choice of vertices.

    Returns:
        Errors at vertices beyond the plane; no vertices if the plane cuts no structure.
    """
    # A generator per heart, so that its plane does not depend on the others.
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
        _SPACING_MM,
        Visibility.of_geometry(whole),
    )


def errors_beyond(
    case: Cut,
    completed: CompletedField,
    ensemble: Ensemble,
    scored: Collection[str],
    generator: np.random.Generator,
    spacing_mm: float,
    known: Visibility | None = None,
) -> VertexErrors:
    """Compute errors and standard deviations at inferred vertices of a completed heart.

    Args:
        case: The cut heart.
        completed: The completion of the part that remains.
        ensemble: Members encoded from the same part, completed in the same way.
        scored: Structures to score.
        generator: Chooses the vertices.
        spacing_mm: Voxel edge of the grid on which the completed heart is meshed.
        known: Visibility of the whole heart in its own scan: vertices beyond it are left out. None
            if all of it is visible.
    """
    true = label_map_surfaces(case.whole, completed.structures)
    corners_mm = case.whole.to_mm(np.argwhere(case.whole.labels).astype(float))
    room_mm = 10 * spacing_mm
    grid = Grid.around(
        corners_mm.min(axis=0) - room_mm, corners_mm.max(axis=0) + room_mm, spacing_mm
    )
    surfaces = {
        completed.structures.index(name): (surface, true[name])
        for name, surface in field_surfaces(completed, grid).items()
        if name in scored and name in true
    }
    return vertex_errors(surfaces, ensemble, generator, completed.visibility, known)
