"""The base of all sources: where a heart comes from."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vecsetx.anatomy.frame import MM_PER_UNIT
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.formats.folders import with_voxel_files
from vecsetx.formats.points import LabelledPoints
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.limits import VOXELS
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.sampler import SamplingSpec, sample_heart
from vecsetx.sampling.samples import Samples
from vecsetx.special_files import check_no_device

__all__ = ["HeartSource"]


@dataclass(frozen=True, slots=True)
class HeartSource(ABC):
    """Where a heart comes from, and which structures its ids or file names stand for.

    Attributes:
        kind: The kind of source, as ``dataset.json`` stores it.
        has_volume: Whether the files give volumes, which :meth:`segmentation` reads; else they give
            points.
        has_coordinates: Whether the files hold coordinates, whose axes and unit they may leave
            open.
        reads_labels: Whether the label set matters; not if the files name the structures.
        name: The heart's name.
        path: The file, or the folder (masks and meshes).
        label_set: The structures that ids or file names stand for.
        space: Axes of meshes and points, ``lps`` or ``ras``, unless their files name them.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        chosen: Whether the label set was chosen for these files. If not, :meth:`resolved` replaces
            it by the one that a label map itself describes.
        of_model: Whether the label set is that of a model, which decides where the files do not.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        absent: Structures that the heart lacks if their masks are empty. An empty mask of another
            structure tells nothing: segmentation may have failed there.
        most_voxels: Most voxels of a label map, or of a grid around masks.
    """

    kind: ClassVar[str]
    has_volume: ClassVar[bool] = False
    _holds: ClassVar[str]
    has_coordinates: ClassVar[bool] = False
    reads_labels: ClassVar[bool] = True

    name: str
    path: Path
    label_set: LabelSet
    space: str = "lps"
    units: str = "mm"
    chosen: bool = True
    of_model: bool = False
    trust_names: bool = False
    absent: tuple[str, ...] = ()
    most_voxels: int = VOXELS

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

    def beside(self) -> tuple[str, ...]:
        """Names of the files that lie with the heart's, sorted. Remarks name those left unread."""
        there = self.path.iterdir() if self.path.is_dir() else ()
        return tuple(sorted(file.name for file in there if not file.name.startswith(".")))

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
            check_no_device(file)
            try:
                with open(file, "rb") as stream:
                    while chunk := stream.read(1 << 22):
                        digest.update(chunk)
            except OSError as error:
                raise InputError(f"{file}: cannot be read: {error.strerror}") from error
        if self.has_coordinates:
            digest.update(self.space.lower().encode())
            # Millimetres add nothing, so that hashes of older data sets hold.
            digest.update(b"" if self.units == "mm" else self.units.encode())
        return digest.hexdigest()

    def origin(self) -> Origin:
        """Return what samples record about this source; raises as :meth:`sha256` does."""
        return Origin(self.name, self.kind, self.path, self.sha256(), self.label_set)

    def _paths(self) -> tuple[Path, ...]:
        return (self.path,)
