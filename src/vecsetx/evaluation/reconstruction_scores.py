"""Score a heart's field on the grid of its truth: all structures, or a single hidden one."""

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
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.geometry.view import cut_structures
from vecsetx.inference.visibility import Visibility
from vecsetx.progress import stage
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import ExclusiveOctree, evaluate_exclusive
from vecsetx.reconstruction.specks import Specks, Supports, find_specks, without_specks
from vecsetx.reconstruction.surfaces import Surface, label_map_surfaces, octree_surfaces

_MIN_MM = 1e-6
"""Minimum magnitude of exclusive distances: where a point is equally deep inside two structures,
the sign still assigns it to one of them."""


@dataclass(frozen=True)
class Reconstruction:
    """A heart's truth and its field, evaluated on the truth's grid; results are cached.

    Attributes:
        segmentation: The heart with all structures of the field; the truth.
        field: The reconstruction.
        observed: Label map of the model's input, with the same labels; None if the input was no
            label map.
        supports: What was observed, so that specks are left out
            (:func:`~vecsetx.reconstruction.specks.find_specks`); None keeps them.
    """

    segmentation: Segmentation
    field: DistanceField
    observed: LabelMap | None = None
    supports: Supports | None = None

    @property
    def truth(self) -> LabelMap:
        """The heart's label map, labels 1…K in the order of the field's structures."""
        return self.segmentation.label_map

    @cached_property
    def octree(self) -> ExclusiveOctree:
        """The field evaluated on the truth's grid; background where the truth is unknown."""
        octree = self._whole_octree
        if self._specks:
            octree = without_specks(octree, self.field, self._specks)
        return octree if self.truth.unknown is None else octree.without(self.truth.unknown)

    @property
    def speckless(self) -> DistanceField:
        """The field without its specks; the field itself if they are kept."""
        return self._specks.field(self.field) if self._specks else self.field

    @cached_property
    def _whole_octree(self) -> ExclusiveOctree:
        with stage("label map"):
            return evaluate_exclusive(self.field, Grid.of(self.truth))

    @cached_property
    def _specks(self) -> Specks | None:
        return find_specks(self._whole_octree, self.supports) if self.supports else None

    @cached_property
    def surfaces(self) -> dict[str, Surface]:
        """Structure name → reconstructed surface."""
        octree = self.octree
        with stage("meshing"):
            return octree_surfaces(octree)

    @cached_property
    def visibility(self) -> Visibility | None:
        """Which parts of its structures the truth shows; None if it shows everything."""
        if self.segmentation.closed is not None:  # meshes have no field of view
            return None
        count = len(self.field.structures)
        return Visibility(np.ones(count, dtype=bool), cut_structures(self.truth, count), self.truth)

    @cached_property
    def true_surfaces(self) -> dict[str, Surface]:
        """Structure name → the source's mesh, or the smoothed surface of its label map."""
        closed, structures = self.segmentation.closed, self.segmentation.structures
        if closed is None:
            with stage("true surfaces"):
                return label_map_surfaces(self.truth, structures)
        return {
            name: Surface(vertices_mm.astype(np.float32), faces)
            for name, (vertices_mm, faces) in zip(structures, closed, strict=True)
            if len(faces)
        }


def score_reconstruction(
    heart: str,
    reconstruction: Reconstruction,
    annotated: Sequence[str],
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
    hidden: Collection[str] = (),
) -> list[Score]:
    """Score a reconstruction on the grid of the truth: its label map and its meshes.

    Args:
        heart: The heart's name.
        reconstruction: The heart's truth and field.
        annotated: Structures that the source annotates.
        tolerance_mm: Tolerance of the normalised surface distance.
        meshes: Whether to score meshes, too.
        hidden: Structures that were hidden from the model.

    Returns:
        A row per structure.

    Raises:
        InputError: The truth contains none of the structures.
    """
    truth, structures = reconstruction.truth, reconstruction.field.structures
    predicted = LabelMap(reconstruction.octree.labels, truth.affine)
    rows = score_label_maps(heart, truth, predicted, structures, annotated, tolerance_mm)
    rows = [replace(row, observed=row.structure not in hidden) for row in rows]
    if not meshes:
        return rows
    true, predicted_surfaces = reconstruction.true_surfaces, reconstruction.surfaces
    return with_mesh_scores(rows, true, predicted_surfaces, penalty_mm(truth), tolerance_mm)


@dataclass(frozen=True, slots=True)
class SingleStructureField:
    """One structure of a field, as a field of its own.

    A point is inside if its label in the whole field is that structure. So both fields give the
    same voxels of the structure, but an octree of this one follows that structure's surface alone.

    Attributes:
        field: The field of all structures.
        name: Name of the structure.
    """

    field: DistanceField
    name: str

    @property
    def structures(self) -> tuple[str, ...]:
        """The one structure."""
        return (self.name,)

    @property
    def reach_mm(self) -> float:
        """Reach of the whole field."""
        return self.field.reach_mm

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 1"]:
        """Compute exclusive distances to the structure, negative inside; float32 mm."""
        index = self.field.structures.index(self.name)
        distances = self.field.distances_mm(points_mm)
        magnitude = np.abs(exclusive_distances(distances)[:, [index]])
        is_inside = sign.label_of(distances)[:, None] == index + 1
        signed: np.ndarray = sign.with_sign(np.maximum(magnitude, _MIN_MM), is_inside)
        return signed


def score_hidden_structure(
    heart: str,
    whole: Reconstruction,
    alone: Reconstruction,
    tolerance_mm: float = TOLERANCE_MM,
    meshes: bool = True,
) -> Score:
    """Score one structure that was hidden from the model.

    Args:
        heart: The heart's name.
        whole: The heart with all of its structures; only its truth is used.
        alone: The heart with a :class:`SingleStructureField` of the hidden structure.
        tolerance_mm: Tolerance of the normalised surface distance.
        meshes: Whether to score its mesh, too.
    """
    truth, structures = whole.truth, whole.field.structures
    (name,) = alone.field.structures
    label = np.uint8(structures.index(name) + 1)
    # Label 1 of the field of one structure becomes its label among all.
    predicted = LabelMap(alone.octree.labels * label, truth.affine)
    rows = score_label_maps(heart, truth, predicted, structures, [name], tolerance_mm)
    (row,) = (replace(row, observed=False) for row in rows if row.structure == name)
    if not meshes:
        return row
    true, predicted_surfaces = whole.true_surfaces, alone.surfaces
    return with_mesh_scores([row], true, predicted_surfaces, penalty_mm(truth), tolerance_mm)[0]
