"""A heart as a poorer segmentation shows it: coarse or thick slices, ragged walls, islands."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.ranges import Share
from vecsetx.variation.flow import Lattice, random_velocity
from vecsetx.variation.resampled import corners_mm, grid_around, resampled

__all__ = ["SegmentedSpec", "segmented"]

_MARGIN_VOXELS = 2


@dataclass(frozen=True, slots=True)
class SegmentedSpec:
    """How often hearts are shown by poorer segmentations, and how poor these are.

    Attributes:
        exact: Share of the hearts that are shown as they are.
        thick: Share of the others that are shown in thick slices, along any direction.
        fine_mm, coarse_mm: Range of the voxel size, within slices; uniform in the logarithm.
        slice_fine_mm, slice_coarse_mm: Range of the distance between thick slices.
        ragged_voxels: Largest root mean square by which walls are moved to and fro, in voxels.
        islands: Largest number of small balls with a wrong label.
    """

    exact: Share = 0.3
    thick: Share = 0.4
    fine_mm: float = 0.6
    coarse_mm: float = 3.0
    slice_fine_mm: float = 4.0
    slice_coarse_mm: float = 10.0
    ragged_voxels: float = 0.6
    islands: int = 3


def segmented(
    label_map: LabelMap, spec: SegmentedSpec, generator: np.random.Generator
) -> LabelMap | None:
    """Return a heart as a poorer segmentation shows it; None to show it as it is.

    Args:
        label_map: Labels 1…K.
        spec: How poor it is.
        generator: Random numbers.
    """
    if generator.random() < spec.exact:
        return None
    # 1. A grid: along the scanner's axes as often as along others.
    spacing_mm = np.full(3, _log_uniform(spec.fine_mm, spec.coarse_mm, generator))
    if generator.random() < spec.thick:
        # In fine pixels: slices that are thick in all directions show nothing of a vessel.
        spacing_mm = np.full(3, _log_uniform(spec.fine_mm, spec.coarse_mm / 2, generator))
        spacing_mm[2] = _log_uniform(spec.slice_fine_mm, spec.slice_coarse_mm, generator)
    axes = np.eye(3)
    if generator.random() < 0.5:
        axes = Rotation.random(random_state=generator).as_matrix()
    corners = corners_mm(label_map)
    affine, shape = grid_around(corners, axes, spacing_mm, _MARGIN_VOXELS * spacing_mm)
    # 2. Walls that waver, slice by slice.
    ragged_mm = spec.ragged_voxels * generator.random() * float(spacing_mm[0])
    smooth_mm = generator.uniform(1.5, 4) * float(spacing_mm[0])
    lattice = Lattice.around(corners, 0.0, max(smooth_mm, 2.0))
    waver_mm = random_velocity(lattice, ragged_mm, smooth_mm, generator)
    shown = resampled(
        label_map,
        affine,
        shape,
        lambda points_mm: points_mm + lattice.at(waver_mm, points_mm),
        complete=label_map.unknown is None,
    )
    return _with_islands(shown, int(generator.integers(spec.islands + 1)), generator)


def _log_uniform(low: float, high: float, generator: np.random.Generator) -> float:
    return float(low * (high / low) ** generator.random())


def _with_islands(label_map: LabelMap, count: int, generator: np.random.Generator) -> LabelMap:
    """The map with small balls of a structure in the background near it."""
    labels = label_map.labels.copy()
    for _ in range(count):
        voxels = np.argwhere(labels)
        here = voxels[generator.integers(len(voxels))]
        center = here + generator.normal(0, 8, 3) / label_map.spacing_mm
        radius = generator.uniform(2, 3.5)
        ball = np.ogrid[tuple(slice(0, n) for n in labels.shape)]
        away = sum((axis - c) ** 2 for axis, c in zip(ball, center, strict=True))
        labels[(away <= radius**2) & (labels == 0)] = labels[tuple(here)]
    return replace(label_map, labels=labels)
