"""Sources: where a heart comes from, a class per kind.

==================  =================================================  ================
Class               Files                                              ``read`` returns
==================  =================================================  ================
LabelMapSource      one image with an id per structure                 Segmentation
MasksSource         a folder with an image per structure               Segmentation
MeshesSource        a folder with a closed mesh per structure          Segmentation
NpzSource           samples as NPZ, of VecSetX or its predecessor      Samples
SamplesSource       a prepared heart                                   Samples
PointsSource        labelled surface points                            LabelledPoints
==================  =================================================  ================
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from vecsetx.anatomy.frame import MM_PER_UNIT
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.size import HeartSize, check_coordinates, check_spacing
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.label_set_choice import label_set_of
from vecsetx.data.missing_spacing import missing_spacing
from vecsetx.data.name_check import check_file_names, check_ids
from vecsetx.errors import InputError
from vecsetx.formats.folders import structure_masks, structure_meshes, with_voxel_files
from vecsetx.formats.label_maps import name_table_of, read_label_map
from vecsetx.formats.masks import read_masks
from vecsetx.formats.mesh_sets import read_meshes
from vecsetx.formats.points import LabelledPoints, read_points
from vecsetx.sampling.geometry import Segmentation
from vecsetx.sampling.npz.layout import read_npz
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.sampler import SamplingSpec, options_of, sample_heart
from vecsetx.sampling.samples import Samples, SamplesFile
from vecsetx.sampling.voxelize import voxelize_surfaces


@dataclass(frozen=True, slots=True)
class HeartSource(ABC):
    """Where a heart comes from, and which structures its ids or file names stand for.

    Attributes:
        kind: The kind of source, as ``dataset.json`` stores it.
        has_volume: Whether the files give volumes, which :meth:`segmentation` reads; else they give
            points.
        name: The heart's name.
        path: The file, or the folder (masks and meshes).
        label_set: The structures that ids or file names stand for.
        space: Axes of meshes and points, ``lps`` or ``ras``, unless their files name them.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        chosen: Whether the label set was chosen for these files. If not, :meth:`resolved` replaces
            it by the one that a label map itself describes.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        absent: Structures that the heart lacks if their masks are empty. An empty mask of another
            structure tells nothing: segmentation may have failed there.
    """

    kind: ClassVar[str]
    has_volume: ClassVar[bool] = False
    _holds: ClassVar[str]
    _has_coordinates: ClassVar[bool] = False

    name: str
    path: Path
    label_set: LabelSet
    space: str = "lps"
    units: str = "mm"
    chosen: bool = True
    trust_names: bool = False
    absent: tuple[str, ...] = ()

    def resolved(self) -> "HeartSource":
        """Return the source with the label set that its files describe, if none was chosen.

        Raises:
            InputError: The files are unreadable, or name what is no structure.
        """
        return self

    @abstractmethod
    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> Segmentation | Samples | LabelledPoints:
        """Read the heart, as input for a model.

        Args:
            structures: Names of the K structures wanted. Samples of a prepared heart come with all
                that they have.
            seed: Seed for shuffling points whose file does not have them in random order (NPZ).
            mm_per_unit: Scale of the frame, and length of the unit of files that do not specify it
                (NPZ).

        Raises:
            InputError: The files are unreadable, damaged or contradictory, or hold none of the
                structures or one that the label set does not know.
        """

    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the heart's volumes.

        Args:
            structures: Names of the K structures wanted; those without an id or file are absent.

        Raises:
            InputError: As :meth:`read`; the files give points; or anatomy contradicts the
                structures' names, and :attr:`trust_names` is not set.
        """
        raise InputError(
            f"{self.path}: holds {self._holds}; this needs a label map, masks or closed meshes, so "
            "give another input"
        )

    def samples(self, structures: tuple[str, ...], spec: SamplingSpec, seed: int) -> Samples:
        """Return the heart's samples for a training data set.

        Args:
            structures: Names of the structures wanted; absent ones are left out of the samples.
            spec: How to sample.
            seed: Seed of the data set.

        Raises:
            InputError: As :meth:`read`; or this kind of source is not suitable for training.
        """
        geometry = self.segmentation(structures).geometry()
        return sample_heart(geometry, self.origin(), structures, spec, seed)

    def annotated(self, found: Collection[str]) -> tuple[str, ...] | None:
        """Structures that the heart's files annotate, in the label set's order.

        A structure with a file of its own is annotated if it was found, or if :attr:`absent` names
        it. None for kinds whose files do not say which structures were annotated.

        Args:
            found: Structures that the heart has, as read.

        Raises:
            InputError: See :func:`vecsetx.formats.folders.structure_meshes`.
        """
        return None

    def files(self) -> tuple[Path, ...]:
        """All files of the heart, sorted.

        Raises:
            InputError: A file is missing, or a folder's files cannot be matched to structures.
        """
        return tuple(sorted(file for path in self._paths() for file in with_voxel_files(path)))

    def sha256(self) -> str:
        """Hash of the files' contents.

        In a folder, it includes the files' names; for meshes and points, it includes :attr:`space`
        and :attr:`units`. The hash of a label map in one file is that of the file.

        Raises:
            InputError: A file is missing or unreadable, or a folder's files cannot be matched to
                structures.
        """
        digest = hashlib.sha256()
        for file in self.files():
            if self.path.is_dir():
                # The null byte separates the name from the content.
                digest.update(file.relative_to(self.path).as_posix().encode() + b"\0")
            try:
                with open(file, "rb") as stream:
                    while chunk := stream.read(1 << 22):
                        digest.update(chunk)
            except OSError as error:
                raise InputError(f"{file}: cannot be read: {error.strerror}") from error
        if self._has_coordinates:
            digest.update(self.space.lower().encode())
            # Millimetres add nothing, so that hashes of older data sets hold.
            digest.update(b"" if self.units == "mm" else self.units.encode())
        return digest.hexdigest()

    def origin(self) -> Origin:
        """Return what samples record about this source; raises as :meth:`sha256` does."""
        return Origin(self.name, self.kind, self.path, self.sha256(), self.label_set)

    def _paths(self) -> tuple[Path, ...]:
        return (self.path,)


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

    def resolved(self) -> "LabelMapSource":
        """Return the source with its label set; see :func:`label_set_of`. It holds the map."""
        if self.chosen:
            return self
        label_map = read_label_map(self.path)
        found, remarks = label_set_of(label_map, self.label_set, str(self.path))
        label_map = replace(label_map, remarks=(*label_map.remarks, *remarks))
        return replace(self, label_set=found, chosen=True, stored=label_map)

    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the label map.

        Raises:
            InputError: It is unreadable, a single slice, holds none of the structures, or an id
                that the label set does not know; no heart has its size; or anatomy contradicts the
                structures' names.
        """
        source, path = self.resolved(), str(self.path)
        stored, label_set = source.stored or read_label_map(self.path), source.label_set
        label_map = stored.to_structures(label_set, structures, path)
        _check_grid(label_map, structures, self.path)
        # Where scan and heart end is judged by all structures, not by the wanted ones alone.
        others = tuple(name for name in label_set.structures if name not in structures)
        if others:
            label_map = stored.to_structures(label_set, (*structures, *others), path)
        if stored.names and (remark := stored.names.contradiction(label_set, stored.present())):
            label_map = label_map.remarked([remark])
        label_map = check_ids(label_map, stored, label_set, self.path, self.trust_names)
        label_map = label_map.remarked(missing_spacing(label_map, (*structures, *others)))
        return Segmentation.of_scan(self.path, structures, label_map, others)

    def _paths(self) -> tuple[Path, ...]:
        table = name_table_of(self.path)
        return (self.path, table) if table else (self.path,)


@dataclass(frozen=True, slots=True)
class MasksSource(_VolumeSource):
    """A folder of masks: one image per structure, named after it."""

    kind: ClassVar[str] = "masks"
    _holds: ClassVar[str] = "masks"

    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the masks as one label map.

        Raises:
            InputError: A mask is unreadable, does not fit the others or overlaps them too much, no
                file is named after one of the structures, one has an unknown name, all labels lie
                in a single slice, no heart has the size, or anatomy contradicts the structures'
                names.
        """
        named = structure_masks(self.path, self.label_set, self.chosen)
        label_map = read_masks(named.of(structures), structures, self.absent, named.left_out())
        label_map = label_map.remarked(named.remarks())
        _check_grid(label_map, structures, self.path)
        label_map = check_file_names(label_map, structures, self.path, self.trust_names)
        label_map = label_map.remarked(missing_spacing(label_map, structures))
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
    _has_coordinates: ClassVar[bool] = True

    def segmentation(self, structures: tuple[str, ...]) -> Segmentation:
        """Read the meshes: per structure its closed surface, and one label map of all.

        Vertices are ``[V, 3]`` float64 in RAS+ mm, faces ``[F, 3]`` int64 that look outwards; both
        are empty for a structure without a file.

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
        label_map = voxelize_surfaces(closed).remarked((*named.remarks(), *heart.remarks))
        label_map = check_file_names(label_map, structures, self.path, self.trust_names)
        return Segmentation(self.path, structures, label_map, closed)

    def annotated(self, found: Collection[str]) -> tuple[str, ...]:
        """Structures with a mesh, as far as they were read."""
        return structure_meshes(self.path, self.label_set).annotated(found)

    def _paths(self) -> tuple[Path, ...]:
        return tuple(structure_meshes(self.path, self.label_set).files.values())


@dataclass(frozen=True, slots=True)
class NpzSource(HeartSource):
    """Samples in an NPZ file, exported by VecSetX or made by its cardiac predecessor."""

    kind: ClassVar[str] = "npz"
    _holds: ClassVar[str] = "samples"

    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> Samples:
        """Read the samples; see :func:`vecsetx.sampling.npz.layout.read_npz`."""
        return read_npz(self.origin(), structures, seed, mm_per_unit)

    def samples(self, structures: tuple[str, ...], spec: SamplingSpec, seed: int) -> Samples:
        """Return all samples of the file; nothing is sampled again."""
        samples = self.read(structures, seed, spec.mm_per_unit)
        return replace(samples, info=replace(samples.info, options=options_of(spec, structures)))


@dataclass(frozen=True, slots=True)
class SamplesSource(HeartSource):
    """Samples of a prepared heart, from the folder ``hearts/`` of a data set."""

    kind: ClassVar[str] = "samples"
    _holds: ClassVar[str] = "samples"

    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> Samples:
        """Read the samples, of all structures in the file.

        Raises:
            InputError: The file is missing, damaged or of another schema.
        """
        return SamplesFile(self.path).read()


@dataclass(frozen=True, slots=True)
class PointsSource(HeartSource):
    """Surface points, each labelled with its structure."""

    kind: ClassVar[str] = "points"
    _holds: ClassVar[str] = "labelled points"
    _has_coordinates: ClassVar[bool] = True

    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> LabelledPoints:
        """Read the points.

        Raises:
            InputError: See :func:`vecsetx.formats.points.read_points`; or no heart has their size.
        """
        found = read_points(self.path, structures, self.label_set, self.space, self.units)
        present = (structures[index] for index in np.unique(found.structure))
        size = HeartSize.of(np.ptp(found.points_mm, axis=0), None, present)
        check_coordinates(size, self.units, self.path)
        return found

    def samples(self, structures: tuple[str, ...], spec: SamplingSpec, seed: int) -> Samples:
        """Raise :class:`InputError`: points do not define a volume."""
        raise InputError(
            f"{self.path}: labelled points can be reconstructed, but not used for training: they "
            "do not define a volume; give a label map, masks or closed meshes"
        )


_BY_KIND: Mapping[str, type[HeartSource]] = {
    source.kind: source
    for source in (
        LabelMapSource, MasksSource, MeshesSource, NpzSource, SamplesSource, PointsSource,
    )
}  # fmt: skip


def source_of(dataset: DataSet, heart: HeartEntry) -> HeartSource:
    """Return the source that a heart of a prepared data set was sampled from.

    Its structures' names are trusted: they were checked, or confirmed, when it was prepared.

    Raises:
        InputError: ``dataset.json`` names a kind of source that does not exist.
    """
    if heart.kind not in _BY_KIND:
        raise InputError(
            f"{dataset.folder}: heart {heart.name} comes from {heart.kind!r}, which is none of "
            f"{', '.join(_BY_KIND)}; prepare the data again"
        )
    label_set = LabelSet.from_dict(dataset.label_sets[heart.label_set], str(dataset.folder))
    source = _BY_KIND[heart.kind](
        heart.name, Path(heart.source), label_set, heart.space, heart.units
    )
    # Of what is annotated, no mask failed.
    return replace(source, trust_names=True, absent=heart.annotated)


def _check_grid(label_map: LabelMap, structures: tuple[str, ...], path: Path) -> None:
    """Refuse labels that are one voxel thick, which enclose no volume, and impossible sizes."""
    for axis, side in zip("ijk", label_map.bounding_box(), strict=True):
        if side.stop - (side.start or 0) == 1:
            raise InputError(
                f"{path}: a single slice; its labels are one voxel thick along axis {axis}, which "
                "encloses nothing: give the whole stack"
            )
    check_spacing(HeartSize.of_label_map(label_map, structures), label_map.spacing_mm, path)
