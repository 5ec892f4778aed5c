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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from vecsetx.anatomy.frame import MM_PER_UNIT
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.size import HeartSize, check_coordinates
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.volume_sources import LabelMapSource, MasksSource, MeshesSource
from vecsetx.errors import InputError
from vecsetx.formats.points import LabelledPoints, read_points
from vecsetx.limits import VOXELS
from vecsetx.plain_data import PlainDataError
from vecsetx.sampling.npz.layout import read_npz
from vecsetx.sampling.sample_checks import check_samples
from vecsetx.sampling.sampler import SamplingSpec, options_of
from vecsetx.sampling.samples import Samples, SamplesFile

__all__ = [
    "HeartSource",
    "LabelMapSource",
    "MasksSource",
    "MeshesSource",
    "NpzSource",
    "PointsSource",
    "SamplesSource",
    "source_of",
]


@dataclass(frozen=True, slots=True)
class NpzSource(HeartSource):
    """Samples in an NPZ file, exported by VecSetX or made by its cardiac predecessor."""

    kind: ClassVar[str] = "npz"
    _holds: ClassVar[str] = "samples"

    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> Samples:
        """Read the samples; see :func:`vecsetx.sampling.npz.layout.read_npz`."""
        found = read_npz(self.origin(), structures, seed, mm_per_unit)
        try:
            found.info.check()
        except PlainDataError as error:
            raise InputError(f"{self.path}: {error}; check --mm-per-unit") from error
        present = (found.info.structures[k] for k in np.unique(found.surface.structure))
        size = HeartSize.of(np.ptp(found.surface.points_mm, axis=0), None, present)
        check_coordinates(size, "mm", self.path)
        return found

    def samples(self, structures: tuple[str, ...], spec: SamplingSpec, seed: int) -> Samples:
        """Return all samples of the file; nothing is sampled again."""
        samples = self.read(structures, seed, spec.mm_per_unit)
        return replace(samples, info=replace(samples.info, options=options_of(spec, structures)))


@dataclass(frozen=True, slots=True)
class SamplesSource(HeartSource):
    """Samples of a prepared heart, from the folder ``hearts/`` of a data set."""

    kind: ClassVar[str] = "samples"
    reads_labels: ClassVar[bool] = False
    _holds: ClassVar[str] = "samples"

    def read(
        self, structures: tuple[str, ...], seed: int = 0, mm_per_unit: float = MM_PER_UNIT
    ) -> Samples:
        """Read the samples, of all structures in the file.

        Raises:
            InputError: The file is missing, damaged or of another schema.
        """
        samples = SamplesFile(self.path).read()
        check_samples(samples, self.path)
        return samples


@dataclass(frozen=True, slots=True)
class PointsSource(HeartSource):
    """Surface points, each labelled with its structure."""

    kind: ClassVar[str] = "points"
    _holds: ClassVar[str] = "labelled points"
    has_coordinates: ClassVar[bool] = True

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
    most_voxels = dataset.choices.most_voxels if dataset.choices else VOXELS
    return replace(source, trust_names=True, absent=heart.annotated, most_voxels=most_voxels)
