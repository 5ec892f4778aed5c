"""Label maps: grids of labels in scanner space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vecsetx.anatomy.label_sets import LabelSet, label_sets_of_ids
from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class LabelMap:
    """A grid of integer labels in scanner space.

    Attributes:
        labels: Integers ``[I, J, K]``, 0 for background.
        affine: ``[4, 4]``, maps voxel indices (integers at voxel centres) to RAS+ mm.
        remarks: Notes for the user on the source, as sentences.
    """

    labels: np.ndarray
    affine: np.ndarray
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis of the array."""
        i, j, k = self.labels.shape
        return i, j, k

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along each axis of the array, ``[3]`` mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_mm(self, indices: np.ndarray) -> np.ndarray:
        """Convert voxel indices ``[..., 3]`` (may be fractional) to RAS+ mm."""
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_indices(self, points_mm: np.ndarray) -> np.ndarray:
        """Convert RAS+ mm ``[..., 3]`` to fractional voxel indices."""
        return (points_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the label ``[N]`` of the voxel around each point ``[N, 3]``; 0 outside the grid.

        Args:
            points_mm: RAS+ mm.
        """
        indices = np.rint(self.to_indices(points_mm)).astype(np.int64)
        within = ((indices >= 0) & (indices < self.shape)).all(axis=1)
        labels = np.zeros(len(points_mm), dtype=self.labels.dtype)
        labels[within] = self.labels[tuple(indices[within].T)]
        return labels

    def to_structures(
        self, label_set: LabelSet, structures: tuple[str, ...], source: str
    ) -> LabelMap:
        """Return the map with labels 1…K in the order of ``structures``, 0 for everything else.

        Args:
            label_set: What the map's ids mean.
            structures: Names of the K structures; the k-th (from 0) gets label ``k + 1``.
            source: The file's name, for error messages.

        Raises:
            InputError: The map has ids that the label set does not know, or has none of the
                structures.
        """
        box = self.bounding_box()  # most of a scan is background
        foreground = self.labels[box]
        seen = np.zeros(int(foreground.max(initial=0)) + 1, dtype=bool)
        seen[0] = self.labels.size > foreground.size
        seen[foreground] = True  # ten times faster than np.unique, which sorts
        present = np.flatnonzero(seen)
        if unknown := label_set.unknown(present.tolist()):
            raise InputError(
                f"{source}: ids {unknown} are not in label set {label_set.name} "
                f"(which has {sorted(label_set.ids)}); {_other_label_sets(present.tolist())}"
            )
        # A table from ids to labels turns the whole map over in one indexing.
        lookup = np.zeros(len(seen), dtype=np.uint8)
        for label_id, name in label_set.ids.items():
            if label_id < len(lookup) and name in structures:
                lookup[label_id] = structures.index(name) + 1
        if not lookup[present].any():
            raise InputError(
                f"{source}: has none of the structures {', '.join(structures)} "
                f"with label set {label_set.name} (ids found: {present.tolist()})"
            )
        labels = np.zeros(self.shape, dtype=np.uint8)
        labels[box] = lookup[foreground]
        return replace(self, labels=labels)

    def to_label_set(self, label_set: LabelSet, structures: tuple[str, ...]) -> LabelMap:
        """Return the map with the label set's own ids: the inverse of :meth:`to_structures`."""
        lookup = np.array([0, *(label_set.id_of(name) for name in structures)])
        smallest = np.uint8 if lookup.max() < 256 else np.uint16
        return replace(self, labels=lookup.astype(smallest)[self.labels])

    def without(self, dropped: Iterable[int]) -> LabelMap:
        """Return the map with the given labels set to background."""
        return replace(self, labels=np.where(np.isin(self.labels, list(dropped)), 0, self.labels))

    def bounding_box(self) -> tuple[slice, slice, slice]:
        """Return the slices of the smallest box around the foreground; empty if there is none."""
        # Two projections of the volume serve all three axes; the others are projections of these.
        in_ij, in_jk = np.any(self.labels, axis=2), np.any(self.labels, axis=0)
        i, j, k = map(
            np.flatnonzero, (np.any(in_ij, axis=1), np.any(in_ij, axis=0), np.any(in_jk, axis=0))
        )
        if len(i) == 0:
            return slice(0), slice(0), slice(0)
        return slice(i[0], i[-1] + 1), slice(j[0], j[-1] + 1), slice(k[0], k[-1] + 1)

    def cropped(self) -> LabelMap:
        """Return the map cropped to :meth:`bounding_box`; positions in mm stay the same."""
        box = self.bounding_box()
        affine = self.affine.copy()
        affine[:3, 3] = self.to_mm(np.array([side.start or 0 for side in box]))
        return LabelMap(np.ascontiguousarray(self.labels[box]), affine, self.remarks)

    def downsampled(self, stride: int) -> LabelMap:
        """Return every ``stride``-th voxel along each axis; positions in mm stay the same."""
        affine = self.affine.copy()
        affine[:3, :3] *= stride
        return replace(self, labels=self.labels[::stride, ::stride, ::stride], affine=affine)


def _other_label_sets(ids: list[int]) -> str:
    if names := label_sets_of_ids(ids):
        return f"they fit label set {' or '.join(names)}: try --labels {names[0]}"
    return "choose another with --labels NAME, or describe yours in a FILE.yaml"
