"""Pictures of a heart's sample points on slices of its label map.

They reveal points and labels in different coordinate systems. The label map is drawn in muted
colours. Each point has the colour of its label by distance, and points that contradict their voxel
are crossed out.
"""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import label_of
from vecsetx.anatomy.structures import structure
from vecsetx.report.panels import ACROSS, BACKGROUND, PIXELS_PER_INCH, VIEWS, frame, webp
from vecsetx.sampling.quality.probes import contradicting
from vecsetx.sampling.samples import Samples

_MIN_SLAB_MM = 1.5
"""Points are shown within half the slice thickness, which counts as at least this."""

_MARGIN_MM = 12.0
"""Margin around the heart."""

_MUTED = 0.42
"""Weight of a structure's colour in the label map; the rest is background."""


@dataclass(frozen=True, slots=True)
class _Marks:
    """Points to draw, at voxel indices ``[N, 3]``, with labels 0…K (0: outside).

    ``space`` joins the near and the volume points.
    """

    surface: Float[np.ndarray, "n 3"]
    surface_label: np.ndarray
    space: Float[np.ndarray, "m 3"]
    space_label: np.ndarray
    contradicting: np.ndarray


def three_slices(samples: Samples, label_map: LabelMap | None) -> str:
    """Draw the axial, coronal and sagittal slice with the most structures, as a data URI.

    Args:
        samples: The heart.
        label_map: Its label map, labels 1…K in the order of its structures; None to draw the points
            alone.
    """
    return _picture(samples, label_map, 1, (12.0, 4.1), point_size=1.0)


def montage(samples: Samples, label_map: LabelMap | None) -> str:
    """Draw five slices through the heart in each direction, as :func:`three_slices`."""
    return _picture(samples, label_map, 5, (15.0, 9.2), point_size=0.55)


def _picture(
    samples: Samples,
    label_map: LabelMap | None,
    slices: int,
    size_inch: tuple[float, float],
    point_size: float,
) -> str:
    grid = _along_patient(_around(samples) if label_map is None else _with_margin(label_map))
    colors = np.array([structure(name).color for name in samples.info.structures]) / 255
    marks = _marks(samples, grid, label_map is not None)
    figure = Figure(figsize=size_inch, dpi=PIXELS_PER_INCH, facecolor=tuple(BACKGROUND))
    rows, columns = (1, 3) if slices == 1 else (3, slices)
    panels = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(0, 0, 1, 1, 0.012, 0.012)
    for number, view in enumerate(VIEWS):
        axis = ACROSS[view]
        places = [_richest(grid, axis)] if slices == 1 else _through(grid, axis, slices)
        row = panels[0, number : number + 1] if slices == 1 else panels[number]
        for panel, place in zip(row, places, strict=True):
            _draw(panel, view, place, grid, colors, marks, point_size)
    return webp(figure)


def _draw(
    panel: Axes,
    view: str,
    place: int,
    grid: LabelMap,
    colors: np.ndarray,
    marks: _Marks,
    point_size: float,
) -> None:
    axis = ACROSS[view]
    across, up = (other for other in range(3) if other != axis)
    spacing = grid.spacing_mm
    labels = np.take(grid.labels, place, axis=axis).T  # rows: upward; columns: across
    muted = np.concatenate([[BACKGROUND], _MUTED * colors + (1 - _MUTED) * BACKGROUND])
    width, height = grid.shape[across] * spacing[across], grid.shape[up] * spacing[up]
    half = 0.5 * spacing[[across, up]]
    extent = (-half[0], width - half[0], -half[1], height - half[1])
    panel.imshow(muted[labels], origin="lower", extent=extent, interpolation="nearest")
    slab = max(float(spacing[axis]), _MIN_SLAB_MM) / 2

    def near(indices: np.ndarray) -> np.ndarray:
        return np.abs(indices[:, axis] - place) * spacing[axis] <= slab

    def at(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return indices[:, across] * spacing[across], indices[:, up] * spacing[up]

    # From back to front: outside points, inside points, surface points, contradictions.
    shown = near(marks.space)
    outside, wrong = shown & (marks.space_label == 0), shown & marks.contradicting
    within = shown & (marks.space_label > 0)
    panel.scatter(*at(marks.space[outside]), s=2.2 * point_size, c="#aab3c0", lw=0, alpha=0.75)
    bright = 0.65 * colors + 0.35
    panel.scatter(
        *at(marks.space[within]),
        s=4.5 * point_size,
        c=bright[marks.space_label[within] - 1],
        lw=0,
    )
    on = near(marks.surface)
    panel.scatter(
        *at(marks.surface[on]),
        s=11 * point_size,
        c=colors[marks.surface_label[on] - 1],
        edgecolors="#05070a",
        linewidths=0.7 * point_size**0.5,
    )
    panel.scatter(*at(marks.space[wrong]), s=26 * point_size, c="#ff2bd6", marker="x", lw=1.3)
    frame(panel, view, extent)


def _marks(samples: Samples, grid: LabelMap, compared: bool) -> _Marks:
    groups = (samples.near, samples.volume)
    space = np.concatenate([group.points_mm for group in groups])
    wrong = [
        contradicting(group, grid) if compared else np.zeros(len(group.points_mm), bool)
        for group in groups
    ]
    return _Marks(
        surface=grid.to_indices(samples.surface.points_mm.astype(np.float64)),
        surface_label=samples.surface.structure.astype(int) + 1,
        space=grid.to_indices(space.astype(np.float64)),
        space_label=np.concatenate([label_of(group.distances_mm) for group in groups]),
        contradicting=np.concatenate(wrong),
    )


def _richest(grid: LabelMap, axis: int) -> int:
    """The slice with the most structures; of several, the one with the most labelled voxels."""
    others = tuple(other for other in range(3) if other != axis)
    kinds = np.zeros(grid.shape[axis], dtype=int)
    for label in range(1, int(grid.labels.max()) + 1):
        kinds += (grid.labels == label).any(axis=others)
    voxels = np.count_nonzero(grid.labels, axis=others)
    return int(np.lexsort((voxels, kinds))[-1])


def _through(grid: LabelMap, axis: int, count: int) -> list[int]:
    """Evenly spaced slices through the labelled part, without its ends."""
    others = tuple(other for other in range(3) if other != axis)
    found = np.flatnonzero(grid.labels.any(axis=others))
    first, last = (found[0], found[-1]) if len(found) else (0, grid.shape[axis] - 1)
    return np.rint(np.linspace(first, last, count + 2)[1:-1]).astype(int).tolist()


def _along_patient(label_map: LabelMap) -> LabelMap:
    """Swap and flip axes so that they are closest to R, A and S; the voxels stay the same."""
    to_ras = nib.orientations.io_orientation(label_map.affine)
    labels = nib.orientations.apply_orientation(label_map.labels, to_ras)
    affine = label_map.affine @ nib.orientations.inv_ornt_aff(to_ras, label_map.shape)
    return LabelMap(labels, affine)


def _with_margin(label_map: LabelMap) -> LabelMap:
    """Crop to the labelled voxels and pad by :data:`_MARGIN_MM`."""
    tight = label_map.cropped()
    voxels = np.ceil(_MARGIN_MM / tight.spacing_mm).astype(int)
    affine = tight.affine.copy()
    affine[:3, 3] = tight.to_mm(-voxels.astype(float))
    return LabelMap(np.pad(tight.labels, [(n, n) for n in voxels]), affine)


def _around(samples: Samples) -> LabelMap:
    """An empty label map with 1 mm voxels around the surface points."""
    points = samples.surface.points_mm
    low = points.min(axis=0) - _MARGIN_MM
    shape = np.ceil(points.max(axis=0) + _MARGIN_MM - low).astype(int) + 1
    affine = np.eye(4)
    affine[:3, 3] = low
    return LabelMap(np.zeros(shape, dtype=np.uint8), affine)
