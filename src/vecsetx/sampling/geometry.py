"""A heart as it is sampled: closed surfaces in mm and the voxels inside them."""

import hashlib
from dataclasses import dataclass, replace

import cc3d
import igl
import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.formats.source import HeartSource
from vecsetx.sampling.distance import ClosedSurfaces
from vecsetx.sampling.interfaces import remove_specks, shared_surface
from vecsetx.sampling.view import cut_structures
from vecsetx.sampling.voxelize import voxelize_surfaces


@dataclass(frozen=True, slots=True)
class Geometry:
    """K structures in space.

    Attributes:
        closed: The closed surface of each structure, empty where it is absent.
        label_map: Labels 1…K of the voxels inside, without specks.
        cut: ``[K]`` whether the structure reaches the edge of what its source shows.
        complete: Whether the source shows everything (surfaces do; a scan has an edge).
        speck_voxels: Voxels of specks that were removed.
    """

    closed: ClosedSurfaces
    label_map: LabelMap
    cut: Bool[np.ndarray, " k"]
    complete: bool = False
    speck_voxels: int = 0

    @classmethod
    def of_source(cls, source: HeartSource, structures: tuple[str, ...]) -> "Geometry":
        """Read a heart.

        Raises:
            InputError: The source cannot be read, or holds none of the structures.
        """
        if source.kind == "meshes":
            return cls.of_surfaces(source.surfaces(structures))
        return cls.of_label_map(source.label_map(structures), len(structures))

    @classmethod
    def of_label_map(cls, label_map: LabelMap, structure_count: int) -> "Geometry":
        """The smooth shared surface of a label map with labels 1…K.

        Raises:
            InputError: The map holds none of them.
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
    def of_surfaces(cls, closed: ClosedSurfaces) -> "Geometry":
        """Closed surfaces as they are. Their voxels tell inside from outside far from a wall."""
        return cls(
            closed, voxelize_surfaces(closed), np.zeros(len(closed), dtype=bool), complete=True
        )

    def present(self) -> Bool[np.ndarray, " k"]:
        """Which structures are there."""
        return np.array([len(faces) > 0 for _, faces in self.closed])

    def restricted(self, kept: Bool[np.ndarray, " k"]) -> "Geometry":
        """The same heart with some of its structures only, numbered anew."""
        number = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.uint8)
        before = self.label_map
        return replace(
            self,
            closed=[surface for surface, keep in zip(self.closed, kept, strict=True) if keep],
            label_map=LabelMap(number[before.labels], before.affine, before.remarks),
            cut=self.cut[kept],
        )

    def without(self, hidden: Bool[np.ndarray, " k"]) -> "Geometry":
        """The same heart and numbers, some structures made absent."""
        empty = (np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
        return replace(
            self,
            closed=[empty if h else c for c, h in zip(self.closed, hidden, strict=True)],
            label_map=self.label_map.without((np.flatnonzero(hidden) + 1).tolist()),
            cut=self.cut & ~hidden,
        )

    def vertices_mm(self) -> Float[np.ndarray, "v 3"]:
        """All vertices, RAS+ mm."""
        return np.concatenate([vertices for vertices, _ in self.closed])

    def volumes_ml(self) -> Float[np.ndarray, " k"]:
        """Volume inside each closed surface, ml."""
        volumes = [igl.centroid(*surface)[1] if len(surface[1]) else 0.0 for surface in self.closed]
        return np.array(volumes) / 1000

    def areas_mm2(self) -> Float[np.ndarray, " k"]:
        """Area of each closed surface, mm²."""
        return np.array([igl.doublearea(*surface).sum() / 2 for surface in self.closed])

    def components(self) -> Int[np.ndarray, " k"]:
        """Pieces (26-connected) of each structure."""
        labels = self.label_map.cropped().labels
        pieces, count = cc3d.connected_components(labels, connectivity=26, return_N=True)
        label = np.zeros(count + 1, dtype=np.int64)
        label[pieces.ravel()] = labels.ravel()
        return np.bincount(label[1:], minlength=len(self.closed) + 1)[1:]

    def content(self) -> str:
        """Hash of the shape: the same wherever and in whatever file and order of axes it lies."""
        digest = hashlib.sha256()
        if self.complete:
            for vertices, faces in self.closed:
                digest.update((vertices - self._origin_mm()).astype("<f4").tobytes())
                digest.update(faces.astype("<i4").tobytes())
            return digest.hexdigest()
        to_ras = nib.orientations.io_orientation(self.label_map.affine)
        labels = nib.orientations.apply_orientation(self.label_map.cropped().labels, to_ras)
        order = np.argsort(to_ras[:, 0])
        digest.update(repr((labels.shape, self.label_map.spacing_mm[order].round(3))).encode())
        digest.update(np.ascontiguousarray(labels).tobytes())
        return digest.hexdigest()

    def _origin_mm(self) -> np.ndarray:
        return next(vertices[0] for vertices, faces in self.closed if len(faces))
