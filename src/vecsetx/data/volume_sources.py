"""Sources whose files give volumes: label maps, masks and closed meshes."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from vecsetx.anatomy.frame import MM_PER_UNIT
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.proportions import odd_proportions, odd_size
from vecsetx.anatomy.size import HeartSize, check_spacing
from vecsetx.anatomy.structures import WHOLE_HEART
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.label_set_choice import label_set_of
from vecsetx.data.missing_spacing import missing_spacing
from vecsetx.data.name_check import check_file_names, check_ids
from vecsetx.errors import InputError, NamesError
from vecsetx.formats.folders import structure_masks, structure_meshes
from vecsetx.formats.label_maps import name_table_of, read_label_map, tables_of
from vecsetx.formats.masks import read_mask, read_masks
from vecsetx.formats.mesh_sets import read_meshes
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.geometry.stray_surfaces import without_stray_surfaces
from vecsetx.progress import staged

__all__ = ["LabelMapSource", "MasksSource", "MeshesSource"]


@dataclass(frozen=True, slots=True)
class _VolumeSource(HeartSource):
    """A source whose files give volumes."""

    has_volume: ClassVar[bool] = True

    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> Segmentation:
        """Read the heart's volumes; see :meth:`segmentation`."""
        return self.segmentation(structures)


@dataclass(frozen=True, slots=True)
class LabelMapSource(_VolumeSource):
    """A label map: an image whose ids stand for the label set's structures.

    Attributes:
        stored: The map with its ids as stored, if it has been read.
    """

    kind: ClassVar[str] = "label map"
    _holds: ClassVar[str] = "a label map"

    stored: LabelMap | None = field(default=None, repr=False, compare=False)

    @staged("reading")
    def resolved(self) -> "LabelMapSource":
        """Return the source with its label set; see :func:`label_set_of`. It holds the map."""
        if self.chosen:
            return self
        label_map = read_label_map(self.path, most_voxels=self.most_voxels)
        found, remarks = label_set_of(label_map, self.label_set, self.of_model, self.path)
        label_map = replace(label_map, remarks=(*label_map.remarks, *remarks))
        return replace(self, label_set=found, chosen=True, stored=label_map)

    @staged("reading")
    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the label map.

        Raises:
            InputError: It is unreadable, a single slice, holds none of the structures, or an id
                that the label set does not know; no heart has its size; or anatomy contradicts the
                structures' names.
        """
        source, path = self.resolved(), str(self.path)
        label_set = source.label_set
        by_name = bool(label_set.drop_names)
        stored = source.stored or read_label_map(
            self.path, names_matter=by_name, most_voxels=self.most_voxels
        )
        if stored.names and by_name:
            stored = stored.without(stored.names.dropped_by(label_set))
        label_map = stored.to_structures(label_set, structures, path)
        _check_grid(label_map, structures, self.path)
        # Where scan and heart end is judged by all structures, not by the wanted ones alone.
        others = tuple(name for name in label_set.structures if name not in structures)
        if others:
            label_map = stored.to_structures(label_set, (*structures, *others), path)
        contradiction = stored.names and stored.names.contradiction(label_set, stored.present())
        if contradiction:
            label_map = label_map.remarked([contradiction])
        try:
            label_map = check_ids(label_map, stored, label_set, self.path, self.trust_names)
        except NamesError as error:
            raise NamesError(f"{error}. {contradiction}") if contradiction else error from None
        label_map = label_map.remarked(_odd_spacing(label_map, (*structures, *others)))
        return Segmentation.of_scan(self.path, structures, label_map, others)

    def beside(self) -> tuple[str, ...]:
        """Names of the tables beside the map, with those that cannot be read; sorted."""
        return tuple(sorted(file.name for file in tables_of(self.path)))

    def _paths(self) -> tuple[Path, ...]:
        table = name_table_of(self.path)
        return (self.path, table) if table else (self.path,)


@dataclass(frozen=True, slots=True)
class MasksSource(_VolumeSource):
    """A folder of masks: one image per structure, named after it."""

    kind: ClassVar[str] = "masks"
    _holds: ClassVar[str] = "masks"

    @staged("reading")
    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the masks as one label map.

        Raises:
            InputError: A mask is unreadable, does not fit the others or overlaps them too much, no
                file is named after one of the structures, one has an unknown name, all labels lie
                in a single slice, no heart has the size, or anatomy contradicts the structures'
                names.
        """
        named = structure_masks(self.path, self.label_set, self.chosen)
        if whole := named.outside.get(WHOLE_HEART):
            read_mask(whole, self.most_voxels)  # heart.nii.gz may be a label map of all structures
        label_map = read_masks(
            named.of(structures), structures, self.absent, named.left_out(), self.most_voxels
        )
        label_map = label_map.remarked(named.remarks())
        _check_grid(label_map, structures, self.path)
        label_map = check_file_names(label_map, structures, self.path, self.trust_names)
        label_map = label_map.remarked(_odd_spacing(label_map, structures))
        return Segmentation.of_scan(self.path, structures, label_map)

    def annotated(self, found: Collection[str]) -> tuple[str, ...]:
        """Structures with a mask that were found or are known to be absent."""
        return structure_masks(self.path, self.label_set).annotated({*found, *self.absent})

    def _paths(self) -> tuple[Path, ...]:
        return tuple(structure_masks(self.path, self.label_set).files.values())


@dataclass(frozen=True, slots=True)
class MeshesSource(_VolumeSource):
    """A folder of closed meshes: one file per structure, named after it."""

    kind: ClassVar[str] = "meshes"
    _holds: ClassVar[str] = "surface meshes"
    has_coordinates: ClassVar[bool] = True

    @staged("reading")
    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the meshes: per structure its closed surface, and one label map of all.

        Vertices are ``[V, 3]`` float64 in RAS+ mm, faces ``[F, 3]`` int64 that look outwards; both
        are empty for a structure without a file. Pieces far from the heart are left out, with a
        remark.

        Raises:
            InputError: See :func:`~vecsetx.formats.mesh_sets.read_meshes`; or no file is named
                after one of the structures, one has an unknown name, or anatomy contradicts the
                structures' names.
        """
        named = structure_meshes(self.path, self.label_set, self.chosen)
        heart = read_meshes(named.of(structures), self.space, self.units)
        surfaces = {name: (mesh.vertices_mm, mesh.faces) for name, mesh in heart.meshes.items()}
        empty = (np.empty((0, 3)), np.empty((0, 3), np.int64))
        closed = [surfaces.get(name, empty) for name in structures]
        near, label_map = without_stray_surfaces(closed, structures)
        label_map = label_map.remarked((*named.remarks(), *heart.remarks))
        label_map = check_file_names(label_map, structures, self.path, self.trust_names)
        return Segmentation(self.path, structures, label_map, near)

    def annotated(self, found: Collection[str]) -> tuple[str, ...]:
        """Structures with a mesh, as far as they were read."""
        return structure_meshes(self.path, self.label_set).annotated(found)

    def _paths(self) -> tuple[Path, ...]:
        return tuple(structure_meshes(self.path, self.label_set).files.values())


def _check_grid(label_map: LabelMap, structures: tuple[str, ...], path: Path) -> None:
    """Refuse labels that are one voxel thick, which enclose no volume, and impossible sizes."""
    for axis, side in zip("ijk", label_map.bounding_box(), strict=True):
        if side.stop - (side.start or 0) == 1:
            raise InputError(
                f"{path}: a single slice; its labels are one voxel thick along axis {axis}, which "
                "encloses nothing: give the whole stack"
            )
    check_spacing(HeartSize.of_label_map(label_map, structures), label_map.spacing_mm, path)


def _odd_spacing(label_map: LabelMap, structures: tuple[str, ...]) -> tuple[str, ...]:
    """Return remarks on a spacing that is probably missing or wrong."""
    return (
        missing_spacing(label_map, structures)
        or odd_proportions(label_map, structures)
        or odd_size(label_map, structures)
    )
