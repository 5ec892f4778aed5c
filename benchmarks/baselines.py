"""What a model must beat: the training hearts, laid over what is observed of another heart.

A cohort holds training hearts as coarse grids of signed distances. Each is laid over the observed
points (:mod:`~vecsetx.evaluation.alignment`); then the one that fits best, or the mean of all,
says where the structures are that are not observed. A structure that the scan of a training heart
cuts short ends at the cut.
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
from vecsetx.reconstruction.grid import Grid
from vecsetx.sampling.distance import signed_distances_mm
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.points import surface_points
from vecsetx.sampling.sampler import Observation, SamplingSpec

_ALIGNED_POINTS = 500
"""Observed points that a heart is aligned by, spread over all of them."""


@dataclass(frozen=True, slots=True)
class CohortSpec:
    """How the hearts of a cohort are held.

    Attributes:
        spacing_mm: Of the grids. Between their points distances are interpolated, so vessels
            thinner than this are lost in part.
        reach_mm: Larger distances are held as this one.
        surface_points: Points per heart that it is aligned by.
        seed: Seed of their draw.
    """

    spacing_mm: float = 2.0
    reach_mm: float = 20.0
    surface_points: int = 10_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DistanceGrid:
    """Signed distances to one structure, on a grid that goes a reach beyond it.

    Attributes:
        values_mm: ``[I, J, K]`` negative inside, about as large as the reach all along the edge;
            float16, which is exact to a hundredth of a millimetre.
        affine: ``[4, 4]`` from voxel indices to RAS+ mm.
        scale: What the values are multiplied by, for a heart made larger or smaller.
    """

    values_mm: Float16[np.ndarray, "i j k"]
    affine: Float[np.ndarray, "4 4"]
    scale: float = 1.0

    def moved(self, by: SimilarityTransform) -> "DistanceGrid":
        """The same structure, turned, scaled and shifted."""
        return replace(self, affine=by.params @ self.affine, scale=self.scale * float(by.scale))

    def at(self, points_mm: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, " n"]:
        """Distances at RAS+ mm, interpolated linearly, in mm."""
        to_indices = np.linalg.inv(self.affine)
        indices = to_indices[:3, :3] @ points_mm.T + to_indices[:3, 3:]
        values_mm = self.values_mm.astype(np.float32)
        return ndimage.map_coordinates(values_mm, indices, order=1, mode="nearest") * np.float32(
            self.scale
        )

    def corners_mm(self) -> Float[np.ndarray, "8 3"]:
        """The centres of its outermost voxels, RAS+ mm."""
        corners = np.array(list(product(*((0, size - 1) for size in self.values_mm.shape))))
        return corners @ self.affine[:3, :3].T + self.affine[:3, 3]


@dataclass(frozen=True, slots=True)
class CohortHeart:
    """A training heart.

    Attributes:
        grids: Per structure its distances; None where the heart has no such structure.
        annotated: Per structure, whether the heart's label map tells of it, absent or not.
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
        """Measure a heart; distances are those to its smooth surfaces.

        Args:
            label_map: Labels 1…K in the order of ``structures``.
            annotated: Names of the structures that the map tells of.
            structures: Names of the K structures.
            spec: How the heart is held.

        Raises:
            InputError: The map holds nothing, or a structure that it is said not to tell of.
        """
        if not label_map.labels.any():
            raise InputError(f"a heart of the cohort has none of {', '.join(structures)}")
        geometry = Geometry.of_label_map(label_map, len(structures))
        present = geometry.present()
        told = tuple(name in annotated for name in structures)
        if untold := [n for n, here, t in zip(structures, present, told, strict=True) if here > t]:
            raise InputError(f"{', '.join(untold)} is in the label map but not among the annotated")
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
        return cls(grids, told, LabelledSurface.of(points_mm, structure))


@dataclass(frozen=True, slots=True)
class AlignedHeart:
    """A training heart laid over what is observed.

    Attributes:
        heart: The heart as it was.
        transform: From its millimetres to the observed ones.
        grids: Its distances, moved there.
        misfit_mm: Mean distance of the observed points to the surface of their own structure; a
            structure that the heart lacks counts as the reach.
    """

    heart: CohortHeart
    transform: SimilarityTransform
    grids: tuple[DistanceGrid | None, ...]
    misfit_mm: float


@dataclass(frozen=True, slots=True)
class GridField:
    """A field of distance grids; a :class:`~vecsetx.reconstruction.distance_field.DistanceField`.

    Attributes:
        structures: Names of the K structures.
        reach_mm: Larger distances are given as this one.
        grids: Per structure its distances; None where there is none, which is outside everywhere.
    """

    structures: tuple[str, ...]
    reach_mm: float
    grids: tuple[DistanceGrid | None, ...]

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n k"]:
        """Signed distances at RAS+ mm, negative inside."""
        distances = np.full((len(points_mm), len(self.grids)), self.reach_mm, dtype=np.float32)
        for k, grid in enumerate(self.grids):
            if grid is not None:
                distances[:, k] = grid.at(points_mm)
        return distances.clip(-self.reach_mm, self.reach_mm)


@dataclass(frozen=True, slots=True)
class AlignedCohort:
    """A cohort laid over what is observed of one heart.

    Attributes:
        structures: Names of the K structures.
        spec: How the hearts are held.
        hearts: The hearts, that which fits best first.
    """

    structures: tuple[str, ...]
    spec: CohortSpec
    hearts: tuple[AlignedHeart, ...]

    @property
    def reach_mm(self) -> float:
        """Up to here every heart's distances are known, whatever its scale."""
        return self.spec.reach_mm * min(float(heart.transform.scale) for heart in self.hearts)

    def nearest(self) -> GridField:
        """The heart that fits best.

        Structures that it does not annotate come from the heart that fits best of those that do.
        """
        best = (
            next((heart.grids[k] for heart in self.hearts if heart.heart.annotated[k]), None)
            for k in range(len(self.structures))
        )
        return GridField(self.structures, self.reach_mm, tuple(best))

    def mean(self) -> GridField:
        """The mean heart: per structure, the mean distance of all hearts that annotate it."""
        means = []
        for k in range(len(self.structures)):
            told = [heart.grids[k] for heart in self.hearts if heart.heart.annotated[k]]
            means.append(_mean_grid(told, self.spec.spacing_mm, self.reach_mm))
        return GridField(self.structures, self.reach_mm, tuple(means))


@dataclass(frozen=True, slots=True)
class Cohort:
    """Training hearts.

    Attributes:
        structures: Names of the K structures.
        spec: How the hearts are held.
        hearts: One or more.
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
        """Measure training hearts, one after the other.

        Args:
            hearts: The label map of each (labels 1…K in the order of ``structures``) and the names
                of the structures that it annotates. They may be read as they are asked for.
            structures: Names of the K structures.
            spec: How the hearts are held.

        Raises:
            InputError: There is no heart, or one cannot be used.
        """
        names, spec = tuple(structures), spec or CohortSpec()
        held = tuple(CohortHeart.of(*heart, names, spec) for heart in hearts)
        if not held:
            raise InputError("a cohort needs at least one heart")
        return cls(names, spec, held)

    def aligned(self, observation: Observation) -> AlignedCohort:
        """Lay every heart over what is observed, by the structures that both show.

        Hearts that show none of the observed structures are left out.

        Args:
            observation: Labelled surface points, their structures numbered as the cohort's.

        Raises:
            InputError: No heart shows any of the observed structures, or the points are too few.
        """
        hearts = [
            self._laid_over(heart, observation)
            for heart in self.hearts
            if heart.surface.shows(observation.structure).any()
        ]
        if not hearts:
            seen = ", ".join(self.structures[k] for k in np.unique(observation.structure))
            raise InputError(
                f"none of the cohort's {len(self.hearts)} hearts has any of what is observed "
                f"({seen or 'nothing'}), so none can be aligned; show another structure"
            )
        hearts.sort(key=lambda heart: heart.misfit_mm)
        return AlignedCohort(self.structures, self.spec, tuple(hearts))

    def _laid_over(self, heart: CohortHeart, observation: Observation) -> AlignedHeart:
        shown = np.flatnonzero(heart.surface.shows(observation.structure))
        few = shown[np.linspace(0, len(shown) - 1, min(_ALIGNED_POINTS, len(shown))).astype(int)]
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
    """Distances to the one structure of a geometry."""
    vertices_mm = structure.vertices_mm()
    margin_mm = spec.reach_mm + spec.spacing_mm  # so that even the edge is out of reach
    low_mm, high_mm = vertices_mm.min(axis=0) - margin_mm, vertices_mm.max(axis=0) + margin_mm
    grid = Grid.around(low_mm, high_mm, spec.spacing_mm)
    distances = signed_distances_mm(
        _voxels_mm(grid), structure.closed, structure.label_map, reach_mm=spec.reach_mm
    )
    return _on_grid(distances, grid)


def _mean_grid(
    grids: Sequence[DistanceGrid | None], spacing_mm: float, reach_mm: float
) -> DistanceGrid | None:
    """The mean of distances; an absent structure is out of reach everywhere.

    It is worked out on a grid half as fine first, and anew near its surface. A mean distance is no
    steeper than a distance, so between coarse voxels it is wrong by less than one of them.
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
    """The centre of every voxel, ``[V, 3]``."""
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))


def _on_grid(distances_mm: np.ndarray, grid: Grid) -> DistanceGrid:
    return DistanceGrid(distances_mm.reshape(grid.shape).astype(np.float16), grid.affine)
