"""Contacts between the structures of a heart: which faces which, and over what area.

Contacts say what a structure is, whatever its id and the heart's pose: only the left ventricle lies
within the myocardium. See :mod:`vecsetx.anatomy.plausibility`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap

__all__ = ["GAP_MM", "Contacts"]

VOXEL_MM = 2.0
"""Label maps are measured at about this voxel size; finer ones are subsampled."""

GAP_MM = 4.0
"""Structures face each other across background up to this wide: walls are often not labelled."""

MOST_LABELS = 1000
"""The table of contacts has the square of this many entries."""

EDGE_SHARE, LEAST_OTHERS_ML = 0.8, 20.0
"""Bounds of :meth:`Contacts.fills_edge`."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """What was measured of N labels. Row and column 0 stand for the background.

    Attributes:
        ids: The N ids, ascending, without 0.
        area_mm2: ``[N + 1, N + 1]``, symmetric: area of the faces between two labels, mm², across
            background up to :data:`GAP_MM` wide. Faces at the edge of the scan are not counted.
        volume_ml: ``[N + 1]`` ml.
        centroid_mm: ``[N + 1, 3]`` RAS+ mm; NaN for a label without voxels.
        edge_share: ``[N + 1]`` share of the voxels at the edge of the scan, in 0…1.
    """

    ids: tuple[int, ...]
    area_mm2: Float[np.ndarray, "n1 n1"]
    volume_ml: Float[np.ndarray, " n1"]
    centroid_mm: Float[np.ndarray, "n1 3"]
    edge_share: Float[np.ndarray, " n1"]

    @classmethod
    def of(cls, label_map: LabelMap) -> Contacts:
        """Measure a label map, with whatever ids it has.

        Of more than :data:`MOST_LABELS` labels, the smallest count as background.

        Takes about 0.1 s for 10⁸ voxels of 0.6 mm.
        """
        stride = np.maximum((VOXEL_MM / label_map.spacing_mm + 1e-6).astype(int), 1)
        labels = label_map.labels[tuple(slice(None, None, int(s)) for s in stride)]
        # 1. Number the ids 0, 1, …: a table is ten times faster than sorting.
        voxels = np.bincount(labels.ravel())
        voxels[0] = labels.size + 1  # is always there
        ids = np.sort(np.argsort(-voxels, kind="stable")[: MOST_LABELS + 1])
        ids = ids[voxels[ids] > 0]
        table = np.zeros(len(voxels), np.int32)
        table[ids] = np.arange(len(ids))
        numbers = table[labels]
        # 2. What lies at the edge of the scan.
        edges = [np.moveaxis(numbers, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)]
        on_edge = np.bincount(np.concatenate(edges), minlength=len(ids))
        # 3. Contacts, volumes and centroids; most of a scan is background.
        coarse = _cropped(LabelMap(numbers, label_map.affine @ np.diag([*stride, 1.0])))
        count, centroid_mm = _volumes(coarse, len(ids))
        return cls(
            ids=tuple(ids[1:].tolist()),
            area_mm2=_areas_mm2(coarse, len(ids)),
            volume_ml=count * coarse.voxel_volume_mm3 / 1000,
            centroid_mm=centroid_mm,
            edge_share=on_edge / max(on_edge.sum(), 1),
        )

    def fills_edge(self, row: int) -> bool:
        """Whether a label is the background by another number: it lies all around the others.

        It covers more than 80% of the scan's edge (at most 85% in cuts of hearts, of which those
        over 58% had less than 1 ml of anything else), and there are 20 ml of other labels.
        """
        others_ml = self.volume_ml[1:].sum() - self.volume_ml[row]
        return bool(self.edge_share[row] > EDGE_SHARE and others_ml > LEAST_OTHERS_ML)


def _cropped(label_map: LabelMap) -> LabelMap:
    """Crop to the foreground and one plane of background around it, unless the scan ends there."""
    box = [slice(max((s.start or 0) - 1, 0), s.stop + 1) for s in label_map.bounding_box()]
    affine = label_map.affine.copy()
    affine[:3, 3] = label_map.to_mm(np.array([side.start for side in box]))
    return LabelMap(label_map.labels[tuple(box)], affine)


def _areas_mm2(label_map: LabelMap, count: int) -> np.ndarray:
    area_mm2 = np.zeros((count, count))
    for axis, spacing_mm in enumerate(label_map.spacing_mm):
        face_mm2 = label_map.voxel_volume_mm3 / spacing_mm
        lines = np.moveaxis(label_map.labels, axis, 0)
        area_mm2 += face_mm2 * _faces(lines, int(GAP_MM / spacing_mm), count)
    return area_mm2 + area_mm2.T


def _faces(lines: np.ndarray, gap: int, count: int) -> np.ndarray:
    """Count the pairs of labels that follow each other along the first axis, at most ``gap`` apart.

    Returns:
        ``[count, count]``: earlier label, later label.
    """

    def pairs(lag: int, where: np.ndarray) -> np.ndarray:
        first, second = lines[:-lag][where], lines[lag:][where]
        return np.bincount(first * count + second, minlength=count**2).reshape(count, count)

    faces = pairs(1, lines[:-1] != lines[1:])
    between = np.ones_like(lines[1:], dtype=bool)  # voxels after the first are background
    for lag in range(2, min(gap + 2, len(lines))):
        between = between[:-1] & (lines[lag - 1 : -1] == 0)
        first, second = lines[:-lag], lines[lag:]
        across = pairs(lag, between & (first > 0) & (second > 0) & (first != second))
        faces += across
        faces[:, 0] -= across.sum(axis=1)
        faces[0] -= across.sum(axis=0)
    return faces


def _volumes(label_map: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each label's number of voxels and its centroid ``[count, 3]``, RAS+ mm."""
    there = np.nonzero(label_map.labels)
    numbers = label_map.labels[there]
    voxels = np.bincount(numbers, minlength=count)
    index = np.stack([np.bincount(numbers, along, minlength=count) for along in there], axis=1)
    return voxels, label_map.to_mm(index / np.maximum(voxels, 1)[:, None])
