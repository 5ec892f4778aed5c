"""A label map: a grid of structures in the scanner's space, and what its ids mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vecsetx.anatomy.label_sets import LabelSet, label_sets_of_ids
from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class LabelMap:
    """A grid of whole-number labels in the scanner's space.

    Attributes:
        labels: Integers ``[I, J, K]``, 0 for background.
        affine: ``[4, 4]``, from voxel indices (centres at whole numbers) to RAS+ mm.
        remarks: Sentences about the source that are worth telling.
    """

    labels: np.ndarray
    affine: np.ndarray
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis of the array."""
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
        """Voxel indices ``[..., 3]`` (fractions allowed) to RAS+ mm."""
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_indices(self, points_mm: np.ndarray) -> np.ndarray:
        """RAS+ mm ``[..., 3]`` to fractional voxel indices."""
        return (points_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Label of the voxel that holds each point ``[N, 3]`` (RAS+ mm); 0 outside the grid."""
        indices = np.rint(self.to_indices(points_mm)).astype(np.int64)
        within = ((indices >= 0) & (indices < self.shape)).all(axis=1)
        labels = np.zeros(len(points_mm), dtype=self.labels.dtype)
        labels[within] = self.labels[tuple(indices[within].T)]
        return labels

    def to_structures(
        self, label_set: LabelSet, structures: tuple[str, ...], source: str
    ) -> LabelMap:
        """The same grid with labels 1…K that follow ``structures``; others become background.

        Args:
            label_set: What the ids mean.
            structures: Names; the k-th gets label ``k + 1``.
            source: The file's name, for errors.

        Raises:
            InputError: The map holds ids that the label set does not know, or none that it names.
        """
        box = self.bounding_box()  # most of a scan is background
        foreground = self.labels[box]
        seen = np.zeros(int(foreground.max(initial=0)) + 1, dtype=bool)
        seen[0] = self.labels.size > foreground.size
        seen[foreground] = True  # ten times faster than sorting them all with np.unique
        present = np.flatnonzero(seen)
        if unknown := label_set.unknown(present.tolist()):
            raise InputError(
                f"{source}: ids {unknown} are not in label set {label_set.name} "
                f"(it knows {sorted(label_set.ids)}); {_other_label_sets(present.tolist())}"
            )
        lookup = np.zeros(len(seen), dtype=np.uint8)
        for label_id, name in label_set.ids.items():
            if label_id < len(lookup) and name in structures:
                lookup[label_id] = structures.index(name) + 1
        if not lookup[present].any():
            raise InputError(
                f"{source}: holds none of the structures {', '.join(structures)} "
                f"under label set {label_set.name} (ids found: {present.tolist()})"
            )
        labels = np.zeros(self.shape, dtype=np.uint8)
        labels[box] = lookup[foreground]
        return replace(self, labels=labels)

    def to_label_set(self, label_set: LabelSet, structures: tuple[str, ...]) -> LabelMap:
        """The reverse of :meth:`to_structures`: labels 1…K back to the label set's own ids."""
        lookup = np.array([0, *(label_set.id_of(name) for name in structures)])
        smallest = np.uint8 if lookup.max() < 256 else np.uint16
        return replace(self, labels=lookup.astype(smallest)[self.labels])

    def without(self, dropped: Iterable[int]) -> LabelMap:
        """The same map with some labels made background."""
        return replace(self, labels=np.where(np.isin(self.labels, list(dropped)), 0, self.labels))

    def bounding_box(self) -> tuple[slice, slice, slice]:
        """The smallest part of the grid that holds every label but background; empty without."""
        i, j, k = (np.flatnonzero(self.labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
        if len(i) == 0:
            return slice(0), slice(0), slice(0)
        return slice(i[0], i[-1] + 1), slice(j[0], j[-1] + 1), slice(k[0], k[-1] + 1)

    def cropped(self) -> LabelMap:
        """That part as a label map of its own: the same places in mm."""
        box = self.bounding_box()
        affine = self.affine.copy()
        affine[:3, 3] = self.to_mm(np.array([side.start or 0 for side in box]))
        return LabelMap(np.ascontiguousarray(self.labels[box]), affine, self.remarks)

    def downsampled(self, stride: int) -> LabelMap:
        """Every ``stride``-th voxel along each axis: the same places in mm, fewer of them."""
        affine = self.affine.copy()
        affine[:3, :3] *= stride
        return replace(self, labels=self.labels[::stride, ::stride, ::stride], affine=affine)


def _other_label_sets(ids: list[int]) -> str:
    if names := label_sets_of_ids(ids):
        return f"they fit label set {' or '.join(names)}: try --labels {names[0]}"
    return "choose another with --labels NAME, or describe yours in a FILE.yaml"
