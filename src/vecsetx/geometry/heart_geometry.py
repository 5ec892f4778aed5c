"""A heart's geometry, from which it is sampled: closed surfaces in mm and the voxels inside."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.formats.closed_mesh import solid_pieces
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.distance import ClosedSurfaces
from vecsetx.geometry.flat_cuts import unknown_beyond_cuts
from vecsetx.geometry.interfaces import lost_to_specks, remove_specks, shared_surface
from vecsetx.geometry.pieces import without_stray_pieces
from vecsetx.geometry.view import cut_structures
from vecsetx.geometry.voxelize import voxelize_surfaces
from vecsetx.progress import staged


@dataclass(frozen=True, slots=True)
class Geometry:
    """K structures in space.

    Attributes:
        closed: The closed surface of each structure, empty where the structure is absent.
        label_map: Labels 1…K of the voxels inside, without specks.
        cut: ``[K]`` whether the structure reaches the edge of the scan and may continue beyond it.
        complete: Whether nothing lies beyond an edge: True for surfaces, False for scans.
        speck_voxels: Number of voxels in the specks that were removed.
    """

    closed: ClosedSurfaces
    label_map: LabelMap
    cut: Bool[np.ndarray, " k"]
    complete: bool = False
    speck_voxels: int = 0

    @classmethod
    def of_label_map(cls, label_map: LabelMap, structure_count: int) -> "Geometry":
        """Compute the smooth shared surface of a label map with labels 1…K.

        Raises:
            InputError: The map holds none of these labels.
        """
        if not label_map.labels.any():
            raise InputError("a label map without any structure has no surface")
        cleaned = remove_specks(label_map)
        surface = shared_surface(cleaned)
        return cls(
            closed=[surface.closed_surface(k) for k in range(1, structure_count + 1)],
            label_map=cleaned,
            cut=cut_structures(cleaned, structure_count),
            speck_voxels=int(np.count_nonzero(label_map.labels != cleaned.labels)),
        )

    @classmethod
    def of_surfaces(cls, closed: ClosedSurfaces, label_map: LabelMap | None = None) -> "Geometry":
        """Take closed surfaces as they are.

        Args:
            closed: The surface of each structure, RAS+ mm.
            label_map: Labels 1…K of the voxels inside, if they are already known. They decide
                inside or outside far from a wall, where no exact distance is computed.
        """
        label_map = voxelize_surfaces(closed) if label_map is None else label_map
        return cls(closed, label_map, np.zeros(len(closed), dtype=bool), complete=True)

    def present(self) -> Bool[np.ndarray, " k"]:
        """Return whether each structure is present."""
        return np.array([len(faces) > 0 for _, faces in self.closed])

    def restricted(self, kept: Bool[np.ndarray, " k"]) -> "Geometry":
        """The same heart with only some of its structures, renumbered 1, 2, …."""
        # New label of each old one: background stays 0, and what is left out becomes 0.
        number = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.uint8)
        before = self.label_map
        return replace(
            self,
            closed=[surface for surface, keep in zip(self.closed, kept, strict=True) if keep],
            label_map=replace(before, labels=number[before.labels]),
            cut=self.cut[kept],
        )

    def without(self, hidden: Bool[np.ndarray, " k"]) -> "Geometry":
        """The same heart without some structures; the others keep their numbers."""
        empty = (np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
        return replace(
            self,
            closed=[empty if h else c for c, h in zip(self.closed, hidden, strict=True)],
            label_map=self.label_map.without((np.flatnonzero(hidden) + 1).tolist()),
            cut=self.cut & ~hidden,
        )

    def vertices_mm(self) -> Float[np.ndarray, "v 3"]:
        """Vertices of all surfaces, RAS+ mm."""
        return np.concatenate([vertices for vertices, _ in self.closed])

    def volumes_ml(self) -> Float[np.ndarray, " k"]:
        """Volume inside each closed surface, ml."""
        import igl

        volumes = [igl.centroid(*surface)[1] if len(surface[1]) else 0.0 for surface in self.closed]
        return np.array(volumes) / 1000

    def areas_mm2(self) -> Float[np.ndarray, " k"]:
        """Area of each closed surface, mm²."""
        import igl

        return np.array([igl.doublearea(*surface).sum() / 2 for surface in self.closed])

    def pieces(self) -> Int[np.ndarray, " k"]:
        """Number of pieces of each structure: of its mesh, or 26-connected ones of its voxels."""
        if self.complete:
            return np.array([solid_pieces(*surface) for surface in self.closed])
        labels = self.label_map.cropped().labels  # most of a scan is background
        pieces, count = number_pieces(labels)
        # A piece has one label throughout, so that any of its voxels may set the entry.
        label = np.zeros(count + 1, dtype=np.int64)
        label[pieces.ravel()] = labels.ravel()
        return np.bincount(label[1:], minlength=len(self.closed) + 1)[1:]

    def content(self) -> str:
        """Hash of the shape; it does not depend on position, file format or order of the axes."""
        import nibabel as nib

        digest = hashlib.sha256()
        # 1. Meshes: vertices relative to the first one, and faces.
        if self.complete:
            for vertices, faces in self.closed:
                digest.update((vertices - self._origin_mm()).astype("<f4").tobytes())
                digest.update(faces.astype("<i4").tobytes())
            return digest.hexdigest()
        # 2. Label maps: the box around the heart, its axes turned to R, A and S, and its spacing.
        to_ras = nib.orientations.io_orientation(self.label_map.affine)
        labels = nib.orientations.apply_orientation(self.label_map.cropped().labels, to_ras)
        order = np.argsort(to_ras[:, 0])
        digest.update(repr((labels.shape, self.label_map.spacing_mm[order].round(3))).encode())
        digest.update(np.ascontiguousarray(labels).tobytes())
        return digest.hexdigest()

    def _origin_mm(self) -> np.ndarray:
        return next(vertices[0] for vertices, faces in self.closed if len(faces))


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A heart whose files define volumes (a label map, masks or closed meshes), as read.

    Attributes:
        path: The file or folder, for error messages.
        structures: Names of the K structures.
        label_map: Labels 1…K on the heart's own grid; of meshes, the voxels inside them.
        closed: The closed surface of each structure if the files are meshes; None if surfaces have
            to be computed from the label map.
    """

    path: Path
    structures: tuple[str, ...]
    label_map: LabelMap
    closed: ClosedSurfaces | None = None

    @classmethod
    def of_scan(
        cls,
        path: Path,
        structures: tuple[str, ...],
        label_map: LabelMap,
        others: tuple[str, ...] = (),
    ) -> "Segmentation":
        """Take a label map without stray pieces, and with what lies beyond flat cuts unknown.

        See :func:`~vecsetx.geometry.pieces.without_stray_pieces` and
        :func:`~vecsetx.geometry.flat_cuts.unknown_beyond_cuts`. The remarks say what was changed.

        Args:
            path: The file or folder.
            structures: Names of the K structures.
            label_map: Labels 1…K, and K + 1… for ``others``.
            others: Further structures, which serve to judge the heart and are then left out.
        """
        everything = (*structures, *others)
        judged = unknown_beyond_cuts(without_stray_pieces(label_map, everything), everything)
        if others:
            judged = judged.without(range(len(structures) + 1, len(everything) + 1))
        return cls(path, structures, judged)

    @staged("surfaces")
    def geometry(self, hide: Collection[str] = ()) -> Geometry:
        """The heart's geometry.

        Args:
            hide: Structures to leave out, as if they had not been segmented: the surface of a label
                map is computed without them.

        Raises:
            InputError: No structure is left.
        """
        hidden = np.isin(self.structures, list(hide))
        if self.closed is not None:
            whole = Geometry.of_surfaces(self.closed, self.label_map)
            self._check_left(bool((whole.present() & ~hidden).any()), hide)
            return whole.without(hidden) if hide else whole
        shown = self.label_map
        if hide:
            shown = shown.without((np.flatnonzero(hidden) + 1).tolist())
        self._check_left(bool(shown.labels.any()), hide)
        geometry = Geometry.of_label_map(shown, len(self.structures))
        if not (lost := lost_to_specks(shown, geometry.label_map, self.structures)):
            return geometry
        remarks = (*geometry.label_map.remarks, *lost)
        return replace(geometry, label_map=replace(geometry.label_map, remarks=remarks))

    def sampled_voxels(self) -> LabelMap:
        """Return the voxels that samples are drawn from; a label map cropped, without specks."""
        if self.closed is not None:
            return self.label_map
        return remove_specks(self.label_map).cropped()

    def _check_left(self, is_left: bool, hide: Collection[str]) -> None:
        if is_left:
            return
        if hide:
            raise InputError(
                f"{self.path}: nothing is left after --hide {','.join(hide)}; hide fewer structures"
            )
        raise InputError(f"{self.path}: holds none of {', '.join(self.structures)}")
