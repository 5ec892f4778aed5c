"""A field of one heart, scored on the grid of its truth: all structures, or one that was hidden."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy import sign
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.evaluation.heart_scores import (
    TOLERANCE_MM,
    penalty_mm,
    score_label_maps,
    with_mesh_scores,
)
from vecsetx.evaluation.scores import Score
from vecsetx.inference.visibility import Visibility
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import ExclusiveOctree, evaluate_exclusive
from vecsetx.reconstruction.surfaces import Surface, label_map_surfaces, octree_surfaces
from vecsetx.sampling.geometry import Segmentation
from vecsetx.sampling.view import cut_structures

_LEAST_MM = 1e-6
"""No exclusive distance is smaller, so that where two structures are equally deep, which only one
of them can have, the sign still tells which."""


@dataclass(frozen=True)
class Reconstruction:
    """A heart and what a field makes of it on the grid of its truth; worked out once, when asked.

    Attributes:
        segmentation: The heart with all its structures, which are those of the field; the truth.
        field: The field.
        shown: What the model was shown, likewise; None if that was no label map.
    """

    segmentation: Segmentation
    field: DistanceField
    shown: LabelMap | None = None

    @property
    def truth(self) -> LabelMap:
        """The heart's label map, labels 1…K in the order of the field's structures."""
        return self.segmentation.label_map

    @cached_property
    def octree(self) -> ExclusiveOctree:
        """The field on the grid."""
        return evaluate_exclusive(self.field, Grid.of(self.truth))

    @cached_property
    def surfaces(self) -> dict[str, Surface]:
        """Structure → surface of the field."""
        return octree_surfaces(self.octree)

    @cached_property
    def visibility(self) -> Visibility | None:
        """What of its structures the truth shows; None if that is everything."""
        if self.segmentation.closed is not None:
            return None
        count = len(self.field.structures)
        return Visibility(np.ones(count, dtype=bool), cut_structures(self.truth, count), self.truth)

    @cached_property
    def true_surfaces(self) -> dict[str, Surface]:
        """Structure → the heart's own mesh, or the smoothed surface of its label map."""
        closed, structures = self.segmentation.closed, self.segmentation.structures
        if closed is None:
            return label_map_surfaces(self.truth, structures)
        return {
            name: Surface(vertices_mm.astype(np.float32), faces)
            for name, (vertices_mm, faces) in zip(structures, closed, strict=True)
            if len(faces)
        }


def score_reconstruction(
    heart: str,
    made: Reconstruction,
    annotated: Sequence[str],
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
    hidden: Collection[str] = (),
) -> list[Score]:
    """Score a reconstruction on the grid of the truth: its label map, and its meshes.

    Args:
        heart: The heart's name.
        made: The reconstruction.
        annotated: Structures that the source annotates.
        tolerance_mm: Of the normalised surface distance.
        meshes: Whether meshes are scored, too.
        hidden: Structures that were hidden from the model.

    Returns:
        A row per structure.

    Raises:
        InputError: The truth holds none of the structures.
    """
    truth, structures = made.truth, made.field.structures
    predicted = LabelMap(made.octree.labels, truth.affine)
    rows = score_label_maps(heart, truth, predicted, structures, annotated, tolerance_mm)
    rows = [replace(row, observed=row.structure not in hidden) for row in rows]
    if not meshes:
        return rows
    return with_mesh_scores(
        rows, made.true_surfaces, made.surfaces, penalty_mm(truth), tolerance_mm
    )


@dataclass(frozen=True, slots=True)
class SingleStructureField:
    """What one structure has to itself of a field of several; a field of its own.

    It is inside where the field's label is that structure, so that on a grid it is what the whole
    field gives; but a octree follows its surface alone.

    Attributes:
        field: The field of all structures.
        name: Which of them.
    """

    field: DistanceField
    name: str

    @property
    def structures(self) -> tuple[str, ...]:
        """The one structure."""
        return (self.name,)

    @property
    def reach_mm(self) -> float:
        """As far as the field's."""
        return self.field.reach_mm

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 1"]:
        """Exclusive distances to the structure, negative inside; float32 mm."""
        index = self.field.structures.index(self.name)
        distances = self.field.distances_mm(points_mm)
        size = np.abs(exclusive_distances(distances)[:, [index]])
        is_inside = sign.label_of(distances)[:, None] == index + 1
        found: np.ndarray = sign.with_sign(np.maximum(size, _LEAST_MM), is_inside)
        return found


def score_hidden_structure(
    heart: str,
    whole: Reconstruction,
    alone: Reconstruction,
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
) -> Score:
    """Score one structure that the model was not shown.

    Args:
        heart: The heart's name.
        whole: The heart with all that it has, of which the truth counts here.
        alone: Its reconstruction as :class:`SingleStructureField`, which the truth holds.
        tolerance_mm: Of the normalised surface distance.
        meshes: Whether its mesh is scored, too.
    """
    truth, structures = whole.truth, whole.field.structures
    (name,) = alone.field.structures
    label = np.uint8(structures.index(name) + 1)
    predicted = LabelMap(alone.octree.labels * label, truth.affine)
    rows = score_label_maps(heart, truth, predicted, structures, [name], tolerance_mm)
    (row,) = (replace(row, observed=False) for row in rows if row.structure == name)
    if not meshes:
        return row
    true, made = whole.true_surfaces, alone.surfaces
    return with_mesh_scores([row], true, made, penalty_mm(truth), tolerance_mm)[0]
