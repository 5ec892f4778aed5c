"""Label maps: grids of labels in scanner space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vecsetx.anatomy.field_of_view import FieldOfView
from vecsetx.anatomy.label_names import LabelNames
from vecsetx.anatomy.label_sets import LabelSet, label_set_names, label_sets_of_ids
from vecsetx.anatomy.label_sets import label_set as named_label_set
from vecsetx.errors import InputError

SIDES_GUESSED = "left and right are a guess"
"""In the remark on a map whose file gives no orientation."""


@dataclass(frozen=True)
class LabelMap:
    """A grid of integer labels in scanner space.

    Attributes:
        labels: Integers ``[I, J, K]``, 0 for background.
        affine: ``[4, 4]``, maps voxel indices (integers at voxel centres) to RAS+ mm.
        remarks: Notes for the user on the source, as sentences.
        names: Names that the file itself gives the labels; None if it gives none.
        unknown: Voxels ``[I, J, K]`` that may belong to any structure or to none, as beyond the
            edge of the scan; their label is 0. None if all voxels are known.
    """

    labels: np.ndarray
    affine: np.ndarray
    remarks: tuple[str, ...] = ()
    names: LabelNames | None = None
    unknown: np.ndarray | None = None

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

    @cached_property
    def field_of_view(self) -> FieldOfView:
        """The part of the grid in which surfaces are trusted."""
        return FieldOfView(self.shape, np.asarray(self.affine, dtype=np.float64), self.unknown)

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

        Voxels with an id that the label set ignores become unknown, with a remark.

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
        present = _distinct(foreground)
        if unknown := label_set.unknown(present.tolist()):
            raise InputError(
                f"{source}: ids {unknown} are not in label set {label_set.name} "
                f"(which has {sorted(label_set.ids)}); {self._hint(label_set)}"
            )
        # A table from ids to labels turns the whole map over in one indexing.
        lookup = np.zeros(int(foreground.max(initial=0)) + 1, dtype=np.uint8)
        for label_id, name in label_set.ids.items():
            if label_id < len(lookup) and name in structures:
                lookup[label_id] = structures.index(name) + 1
        if not lookup[present].any():
            raise InputError(
                f"{source}: has none of the structures {', '.join(structures)} "
                f"with label set {label_set.name} (ids found: {self.present()})"
            )
        labels = np.zeros(self.shape, dtype=np.uint8)
        labels[box] = lookup[foreground]
        ignored = [i for i in sorted(label_set.ignore) if i in present]
        if not ignored:
            return replace(self, labels=labels, names=None)
        voxels, names = np.isin(self.labels, ignored), ", ".join(map(str, ignored))
        return replace(self, labels=labels, names=None).with_unknown(
            voxels,
            f"{voxels.mean():.1%} of the voxels have the ignored id {names}: they are unknown, "
            "without surface, loss or score",
        )

    def with_unknown(self, voxels: np.ndarray, remark: str) -> LabelMap:
        """Return the map with further voxels unknown, and with a remark.

        Args:
            voxels: Which voxels, ``[I, J, K]``; their labels become background.
            remark: A sentence for the user on why.
        """
        return replace(
            self,
            labels=np.where(voxels, self.labels.dtype.type(0), self.labels),
            unknown=voxels if self.unknown is None else self.unknown | voxels,
            remarks=(*self.remarks, remark),
        )

    @property
    def sides_guessed(self) -> bool:
        """Whether the file gives no orientation, so that the map may be mirrored."""
        return any(SIDES_GUESSED in remark for remark in self.remarks)

    def mirrored(self) -> LabelMap:
        """Return the map with left and right exchanged: R+ mm change their sign."""
        return replace(self, affine=np.diag([-1.0, 1, 1, 1]) @ self.affine)

    def known_part(self, other: LabelMap) -> LabelMap:
        """Return another map on the same grid with background in voxels that are unknown here."""
        if self.unknown is None:
            return other
        return replace(other, labels=np.where(self.unknown, 0, other.labels))

    def present(self) -> list[int]:
        """Return the labels that occur, sorted, without background."""
        return [label for label in _distinct(self.labels[self.bounding_box()]).tolist() if label]

    def to_label_set(self, label_set: LabelSet, structures: tuple[str, ...]) -> LabelMap:
        """Return the map with the label set's own ids: the inverse of :meth:`to_structures`."""
        lookup = np.array([0, *(label_set.id_of(name) for name in structures)])
        smallest = np.uint8 if lookup.max() < 256 else np.uint16
        return replace(self, labels=lookup.astype(smallest)[self.labels])

    def remarked(self, remarks: Iterable[str]) -> LabelMap:
        """Return the map with further remarks."""
        return replace(self, remarks=(*self.remarks, *remarks))

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
            return slice(0, 0), slice(0, 0), slice(0, 0)
        return slice(i[0], i[-1] + 1), slice(j[0], j[-1] + 1), slice(k[0], k[-1] + 1)

    def cropped(self) -> LabelMap:
        """Return the map cropped to :meth:`bounding_box`; positions in mm stay the same."""
        box = self.bounding_box()
        affine = self.affine.copy()
        affine[:3, 3] = self.to_mm(np.array([side.start for side in box]))
        labels = np.ascontiguousarray(self.labels[box])
        unknown = None if self.unknown is None else np.ascontiguousarray(self.unknown[box])
        return replace(self, labels=labels, affine=affine, unknown=unknown)

    def downsampled(self, stride: int) -> LabelMap:
        """Return every ``stride``-th voxel along each axis; positions in mm stay the same."""
        affine = self.affine.copy()
        affine[:3, :3] *= stride
        every = (slice(None, None, stride),) * 3
        unknown = None if self.unknown is None else self.unknown[every]
        return replace(self, labels=self.labels[every], affine=affine, unknown=unknown)

    def _hint(self, label_set: LabelSet) -> str:
        """Return which label set to try instead; never one that contradicts what is known."""
        ids = self.present()
        if self.names and set(ids) <= self.names.structures().keys():
            return "the file names its ids itself: leave --labels out, or give --labels FILE.yaml"
        fitting = [named_label_set(name) for name in label_sets_of_ids(ids)]
        if self.names:
            fitting = [one for one in fitting if not self.names.contradiction(one, ids)]
        if label_set.name not in label_set_names():  # it comes from a file that names its ids
            known = [i for i in ids if i in label_set.ids]
            fitting = [s for s in fitting if all(s.ids.get(i) == label_set.ids[i] for i in known)]
        if fitting:
            names = " or ".join(one.name for one in fitting)
            return f"they fit label set {names}: try --labels {fitting[0].name}"
        return "choose another with --labels NAME, or describe yours in a FILE.yaml"


def _distinct(labels: np.ndarray) -> np.ndarray:
    """Return the distinct values of non-negative integers, sorted."""
    seen = np.zeros(int(labels.max(initial=0)) + 1, dtype=bool)
    seen[labels] = True  # ten times faster than np.unique, which sorts
    return np.flatnonzero(seen)
