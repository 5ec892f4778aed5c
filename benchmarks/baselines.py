"""Baselines for completion: training hearts, aligned with the observed part of another heart.

A cohort stores training hearts as coarse grids of signed distances. Each heart is aligned with the
observed points (:mod:`~vecsetx.evaluation.alignment`). Then the best-fitting heart, or the mean of
all, predicts the structures that are not observed. If the scan of a training heart cuts a
structure, that structure ends at the cut.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float, Float16, Float32
from scipy import ndimage
from skimage.transform import SimilarityTransform

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.evaluation.alignment import LabelledSurface, align
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.reconstruction.grid import Grid
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.point_sampling import surface_points
from vecsetx.sampling.sampler import SamplingSpec

_ALIGNED_POINTS = 500
"""Number of observed points used for alignment, spread evenly over all of them."""


@dataclass(frozen=True, slots=True)
class CohortSpec:
    """How the hearts of a cohort are stored.

    Attributes:
        spacing_mm: Spacing of the grids. Distances are interpolated between grid points, so vessels
            thinner than this are partly lost.
        reach_mm: Distances are truncated at this value.
        surface_points: Number of surface points per heart for alignment.
        seed: Seed of these points.
    """

    spacing_mm: float = 2.0
    reach_mm: float = 20.0
    surface_points: int = 10_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DistanceGrid:
    """Signed distances to one structure, on a grid that extends one reach beyond it.

    Attributes:
        values_mm: ``[I, J, K]`` negative inside, about equal to the reach along the grid's edge;
            float16, which is accurate to a hundredth of a millimetre.
        affine: ``[4, 4]`` from voxel indices to RAS+ mm.
        scale: Factor on the values, for a scaled heart.
    """

    values_mm: Float16[np.ndarray, "i j k"]
    affine: Float[np.ndarray, "4 4"]
    scale: float = 1.0

    def moved(self, by: SimilarityTransform) -> "DistanceGrid":
        """Return the same structure, rotated, scaled and shifted."""
        return replace(self, affine=by.params @ self.affine, scale=self.scale * float(by.scale))

    def at(self, points_mm: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, " n"]:
        """Interpolate distances, mm, linearly at RAS+ mm points."""
        to_indices = np.linalg.inv(self.affine)
        indices = to_indices[:3, :3] @ points_mm.T + to_indices[:3, 3:]
        values_mm = self.values_mm.astype(np.float32)
        return ndimage.map_coordinates(values_mm, indices, order=1, mode="nearest") * np.float32(
            self.scale
        )

    def corners_mm(self) -> Float[np.ndarray, "8 3"]:
        """Return the centres of the corner voxels, RAS+ mm."""
        corners = np.array(list(product(*((0, size - 1) for size in self.values_mm.shape))))
        return corners @ self.affine[:3, :3].T + self.affine[:3, 3]


@dataclass(frozen=True, slots=True)
class CohortHeart:
    """A training heart.

    Attributes:
        grids: Distances per structure; None if the heart lacks the structure.
        annotated: Whether the heart's label map annotates each structure, present or not.
        surface: Labelled surface points.
    """

    grids: tuple[DistanceGrid | None, ...]
    annotated: tuple[bool, ...]
    surface: LabelledSurface

    @classmethod
    def of(
        cls,
        label_map: LabelMap,
        annotated: Collection[str],
        structures: tuple[str, ...],
        spec: CohortSpec,
    ) -> "CohortHeart":
        """Compute distances to a heart's smooth surfaces.

        Args:
            label_map: Labels 1…K in the order of ``structures``.
            annotated: Names of the structures that the map annotates.
            structures: Names of the K structures.
            spec: How to store the heart.

        Raises:
            InputError: The map is empty, or contains a structure that is not annotated.
        """
        if not label_map.labels.any():
            raise InputError(
                f"a heart of the cohort has none of {', '.join(structures)}; leave it out"
            )
        geometry = Geometry.of_label_map(label_map, len(structures))
        present = geometry.present()
        is_annotated = tuple(name in annotated for name in structures)
        if extra := [
            name
            for name, here, known in zip(structures, present, is_annotated, strict=True)
            if here > known
        ]:
            raise InputError(
                f"{', '.join(extra)} is in the label map but not among the annotated structures"
            )
        points_mm, structure, _ = surface_points(
            geometry,
            spec.surface_points,
            SamplingSpec().equal_share,
            np.random.default_rng(spec.seed),
        )
        number = np.arange(len(structures))
        grids = tuple(
            _distance_grid(geometry.restricted(number == k), spec) if present[k] else None
            for k in number
        )
        return cls(grids, is_annotated, LabelledSurface.of(points_mm, structure))


@dataclass(frozen=True, slots=True)
class AlignedHeart:
    """A training heart aligned with the observed points.

    Attributes:
        heart: The original heart.
        transform: From the heart's millimetres to those of the observed points.
        grids: The heart's distances, transformed.
        misfit_mm: Mean distance of the observed points to the surface of their own structure; for a
            structure that the heart lacks, the reach.
    """

    heart: CohortHeart
    transform: SimilarityTransform
    grids: tuple[DistanceGrid | None, ...]
    misfit_mm: float


@dataclass(frozen=True, slots=True)
class GridField:
    """Distance grids as a :class:`~vecsetx.reconstruction.distance_field.DistanceField`.

    Attributes:
        structures: Names of the K structures.
        reach_mm: Distances are truncated at this value.
        grids: Distances per structure; None for an absent structure.
    """

    structures: tuple[str, ...]
    reach_mm: float
    grids: tuple[DistanceGrid | None, ...]

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n k"]:
        """Compute signed distances, mm, at RAS+ mm points, negative inside."""
        distances = np.full((len(points_mm), len(self.grids)), self.reach_mm, dtype=np.float32)
        for k, grid in enumerate(self.grids):
            if grid is not None:
                distances[:, k] = grid.at(points_mm)
        return distances.clip(-self.reach_mm, self.reach_mm)


@dataclass(frozen=True, slots=True)
class AlignedCohort:
    """A cohort aligned with the observed part of one heart.

    Attributes:
        structures: Names of the K structures.
        spec: How the hearts are stored.
        hearts: The hearts, best-fitting first.
    """

    structures: tuple[str, ...]
    spec: CohortSpec
    hearts: tuple[AlignedHeart, ...]

    @property
    def reach_mm(self) -> float:
        """Magnitude up to which all hearts' scaled distances are known."""
        return self.spec.reach_mm * min(float(heart.transform.scale) for heart in self.hearts)

    def nearest(self) -> GridField:
        """Return the best-fitting heart.

        Structures that it does not annotate come from the best-fitting heart that does.
        """
        best = (
            next((heart.grids[k] for heart in self.hearts if heart.heart.annotated[k]), None)
            for k in range(len(self.structures))
        )
        return GridField(self.structures, self.reach_mm, tuple(best))

    def mean(self) -> GridField:
        """Return the mean heart: each structure's mean distance over hearts that annotate it."""
        means = []
        for k in range(len(self.structures)):
            grids = [heart.grids[k] for heart in self.hearts if heart.heart.annotated[k]]
            means.append(_mean_grid(grids, self.spec.spacing_mm, self.reach_mm))
        return GridField(self.structures, self.reach_mm, tuple(means))


@dataclass(frozen=True, slots=True)
class Cohort:
    """Training hearts.

    Attributes:
        structures: Names of the K structures.
        spec: How the hearts are stored.
        hearts: The hearts, one or more.
    """

    structures: tuple[str, ...]
    spec: CohortSpec
    hearts: tuple[CohortHeart, ...]

    @classmethod
    def of(
        cls,
        hearts: Iterable[tuple[LabelMap, Collection[str]]],
        structures: Sequence[str],
        spec: CohortSpec | None = None,
    ) -> "Cohort":
        """Create a cohort from label maps, one heart at a time.

        Args:
            hearts: Each heart's label map (labels 1…K in the order of ``structures``) and the names
                of the structures that it annotates; may be a generator.
            structures: Names of the K structures.
            spec: How to store the hearts.

        Raises:
            InputError: There is no heart, or one cannot be used.
        """
        names, spec = tuple(structures), spec or CohortSpec()
        stored = tuple(CohortHeart.of(*heart, names, spec) for heart in hearts)
        if not stored:
            raise InputError("a cohort needs at least one heart")
        return cls(names, spec, stored)

    def aligned(self, observation: Observation) -> AlignedCohort:
        """Align every heart with the observed points, by the structures that both have.

        Hearts without any observed structure are left out.

        Args:
            observation: Labelled surface points, with structures numbered as in the cohort.

        Raises:
            InputError: No heart has any observed structure, or there are too few points.
        """
        hearts = [
            self._align(heart, observation)
            for heart in self.hearts
            if heart.surface.has(observation.structure).any()
        ]
        if not hearts:
            observed = ", ".join(self.structures[k] for k in np.unique(observation.structure))
            raise InputError(
                f"none of the cohort's {len(self.hearts)} hearts has any of what is observed "
                f"({observed or 'nothing'}), so none can be aligned; observe another structure"
            )
        hearts.sort(key=lambda heart: heart.misfit_mm)
        return AlignedCohort(self.structures, self.spec, tuple(hearts))

    def _align(self, heart: CohortHeart, observation: Observation) -> AlignedHeart:
        common = np.flatnonzero(heart.surface.has(observation.structure))
        count = min(_ALIGNED_POINTS, len(common))
        few = common[np.linspace(0, len(common) - 1, count).astype(int)]
        transform = align(heart.surface, observation.points_mm[few], observation.structure[few])
        grids = tuple(grid and grid.moved(transform) for grid in heart.grids)
        misfits_mm = np.full(len(observation.structure), self.spec.reach_mm, dtype=np.float32)
        for k in np.unique(observation.structure):
            own = observation.structure == k
            if (grid := grids[k]) is not None:
                misfits_mm[own] = np.abs(grid.at(observation.points_mm[own]))
        misfit_mm = float(misfits_mm.clip(max=self.spec.reach_mm).mean())
        return AlignedHeart(heart, transform, grids, misfit_mm)


def _distance_grid(structure: Geometry, spec: CohortSpec) -> DistanceGrid:
    """Compute distances to the only structure of a geometry."""
    vertices_mm = structure.vertices_mm()
    margin_mm = spec.reach_mm + spec.spacing_mm  # so that the grid's edge is beyond the reach
    low_mm, high_mm = vertices_mm.min(axis=0) - margin_mm, vertices_mm.max(axis=0) + margin_mm
    grid = Grid.around(low_mm, high_mm, spec.spacing_mm)
    distances = signed_distances_mm(
        _voxels_mm(grid), structure.closed, structure.label_map, reach_mm=spec.reach_mm
    )
    return _on_grid(distances, grid)


def _mean_grid(
    grids: Sequence[DistanceGrid | None], spacing_mm: float, reach_mm: float
) -> DistanceGrid | None:
    """Average distances; an absent structure counts as the reach everywhere.

    The mean is computed on a grid with twice the spacing first, and recomputed on the full grid
    near its surface. A mean distance is at most as steep as a distance, so interpolating between
    coarse voxels is wrong by less than one of them.
    """
    present = [grid for grid in grids if grid is not None]
    if not present:
        return None

    def mean_at(points_mm: np.ndarray) -> np.ndarray:
        total = np.full(len(points_mm), (len(grids) - len(present)) * reach_mm, dtype=np.float32)
        for grid in present:
            total += grid.at(points_mm).clip(-reach_mm, reach_mm)
        return total / len(grids)

    corners_mm = np.concatenate([grid.corners_mm() for grid in present])
    low_mm, high_mm = corners_mm.min(axis=0), corners_mm.max(axis=0)
    coarse, fine = (Grid.around(low_mm, high_mm, size * spacing_mm) for size in (2, 1))
    points_mm = _voxels_mm(fine)
    values = _on_grid(mean_at(_voxels_mm(coarse)), coarse).at(points_mm)
    near = np.abs(values) < 3 * spacing_mm
    values[near] = mean_at(points_mm[near])
    return _on_grid(values, fine)


def _voxels_mm(grid: Grid) -> np.ndarray:
    """Return the centres of all voxels, ``[V, 3]`` RAS+ mm."""
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))


def _on_grid(distances_mm: np.ndarray, grid: Grid) -> DistanceGrid:
    return DistanceGrid(distances_mm.reshape(grid.shape).astype(np.float16), grid.affine)
