"""Training batches drawn from a data set.

The hearts of a run form one endless sequence, of which batch n is the n-th part. What is drawn of a
heart depends only on the seed and on the heart's position in the sequence. An interrupted run can
therefore continue exactly where it stopped without any saved state of the data, and the hearts of a
step are the same whether they come as one batch or are shared out among passes or processes.

Where a heart's file disappears or is damaged during a run, the next readable heart takes its place.
This is not remembered: all processes substitute the same hearts, and a restored file is used again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from vecsetx.anatomy.frame import Rotation
from vecsetx.data.augment import AugmentSpec
from vecsetx.data.batch import Batch
from vecsetx.data.buffer import BatchBuffer
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.draw import BatchSpec, draw_heart
from vecsetx.data.partial import PartialSpec
from vecsetx.data.turned import rotations_onto
from vecsetx.errors import InputError
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.sampling.samples import SamplesFile

__all__ = ["LostHeart", "TrainingBatches"]


@dataclass(frozen=True, slots=True)
class LostHeart:
    """A heart whose file could not be read during a run.

    Attributes:
        name: Its name.
        path: Its samples file.
        error: Name, file and what is wrong with it.
    """

    name: str
    path: Path
    error: str


class TrainingBatches:
    """The endless sequence of training batches of a list of hearts.

    Args:
        dataset: The data set.
        hearts: The hearts; each occurs once per epoch, in random order.
        spec: Size of a batch.
        augment: Random augmentation, or None for hearts as they lie in their frames.
        seed: Seed of everything random here.
        partial: How hearts are hidden in part from the encoder; None to show them whole.
        reference: The heart as which all others are turned, as of
            :func:`~vecsetx.data.turned.choose_reference`; None to leave them as they lie.

    Raises:
        InputError: There are no hearts, their scales differ, or a file cannot be read or holds too
            few points.
    """

    def __init__(
        self,
        dataset: DataSet,
        hearts: Sequence[HeartEntry],
        spec: BatchSpec,
        augment: AugmentSpec | None,
        seed: int,
        partial: PartialSpec | None = None,
        reference: ReferenceHeart | None = None,
    ) -> None:
        if not hearts:
            raise InputError(
                f"{dataset.folder}: this split has no hearts; choose another --fold, or prepare "
                "the data with another --val-share"
            )
        self.spec, self.augment, self.seed = spec, augment, seed
        self.partial = partial or PartialSpec()
        self._sources = _sources(hearts, spec.balance)
        self.structures = dataset.structures
        self.files = [dataset.open(heart) for heart in hearts]
        self.annotated = [heart.annotated for heart in hearts]
        scales = {file.info.frame.mm_per_unit for file in self.files}
        if len(scales) > 1:
            raise InputError(
                f"{dataset.folder}: hearts have different mm per unit {sorted(scales)}; prepare "
                "all of them with the same --mm-per-unit"
            )
        versions = [
            [file, *(dataset.open_variants(heart) if spec.variants else ())]
            for file, heart in zip(self.files, hearts, strict=True)
        ]
        for file in chain.from_iterable(versions):
            _check_counts(file, spec)
        self.reference = reference
        self._versions = [
            list(zip(files, rotations_onto(reference, files), strict=True)) for files in versions
        ]

    def batch(self, number: int) -> Batch:
        """Batch 0, 1, … of the sequence; :class:`InputError` if one of its hearts is lost."""
        batch, lost = self.batch_with_substitutes(number)
        if lost:
            raise InputError(lost[0].error)
        return batch

    def batch_with_substitutes(self, number: int) -> tuple[Batch, list[LostHeart]]:
        """Batch 0, 1, … of the sequence, with other hearts in place of lost ones.

        The next heart of the same epoch is the substitute; the other hearts stay the same.

        Returns:
            The batch, and the lost hearts that it would have contained.

        Raises:
            InputError: No heart can be read.
        """
        lost: list[LostHeart] = []
        hearts = self.spec.hearts
        buffer = BatchBuffer.empty(hearts, *self.spec.counts, len(self.structures))
        for row in range(hearts):
            self._draw(number * hearts + row, buffer.heart(row), lost)
        return buffer.batch(*self.spec.counts), lost

    def names(self, step: int, passes: int, ranks: int) -> list[str]:
        """Names of the hearts that a step of several passes and processes sees, if none is lost."""
        count = passes * ranks * self.spec.hearts
        positions = range(step * count, (step + 1) * count)
        return [self.files[self._candidates(position)[0]].info.name for position in positions]

    @property
    def versions(self) -> list[list[SamplesFile]]:
        """The files of each heart: its own first, then those of its variants."""
        return [[file for file, _ in versions] for versions in self._versions]

    @property
    def rotations(self) -> list[Rotation]:
        """Rotation of each heart's frame, which turns it as the reference heart lies."""
        return [versions[0][1] for versions in self._versions]

    def rotation_of(self, name: str) -> Rotation:
        """Rotation of the frame of a heart of this name."""
        return self.rotations[[file.info.name for file in self.files].index(name)]

    def _candidates(self, position: int) -> list[int]:
        """Index of the heart at a position of the sequence, followed by its substitutes."""
        # Sources take turns at consecutive positions; within its turns, each repeats its epochs.
        turn, source = divmod(position, len(self._sources))
        hearts = self._sources[source]
        epoch, index = divmod(turn, len(hearts))
        order = _order(self.seed, epoch, source, len(hearts))
        # If a file is lost, the rest of the epoch follows, and then its beginning.
        return [hearts[number] for number in order[index:] + order[:index]]

    def _version(self, index: int, position: int) -> tuple[SamplesFile, Rotation]:
        """A heart's own file or that of a variant, and its rotation; all are equally likely."""
        versions = self._versions[index]
        if len(versions) == 1:
            return versions[0]
        return versions[np.random.default_rng([self.seed, 2, position]).integers(len(versions))]

    def _draw(self, position: int, buffer: BatchBuffer, lost: list[LostHeart]) -> None:
        for index in self._candidates(position):
            file, rotation = self._version(index, position)
            # Seeded by the position: a substitute changes no other heart. 0 is for the order.
            generator = np.random.default_rng([self.seed, 1, position])
            try:
                return draw_heart(
                    file,
                    self.structures,
                    self.annotated[index],
                    self.spec,
                    self.augment,
                    generator,
                    buffer,
                    self.partial.at(position),
                    rotation,
                )
            except InputError as error:
                lost.append(LostHeart(file.info.name, file.path, f"{file.info.name}: {error}"))
        raise InputError(
            f"none of the {len(self.files)} hearts can be read, the last because of: "
            f"{lost[-1].error}"
        )


def _sources(hearts: Sequence[HeartEntry], balance: bool) -> list[list[int]]:
    """Indices of hearts in the groups that take turns: one per label set, or one of all."""
    sources: dict[str, list[int]] = {}
    for number, heart in enumerate(hearts):
        sources.setdefault(heart.label_set if balance else "", []).append(number)
    return list(sources.values())


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, source: int, hearts: int) -> list[int]:
    """The random order of a source's hearts in an epoch."""
    return np.random.default_rng([seed, 0, epoch, source]).permutation(hearts).tolist()


def _check_counts(file: SamplesFile, spec: BatchSpec) -> None:
    """Raise an :class:`InputError` if a file holds fewer points than a batch needs."""
    for group, needed, keys in (
        # The encoder's points and the surface queries come from the same points.
        ("surface", spec.points + spec.surface, "batch.points and batch.surface"),
        ("near", spec.near, "batch.near"),
        ("volume", spec.volume, "batch.volume"),
    ):
        if file.count(group) < needed:
            raise InputError(
                f"{file.path}: holds {file.count(group)} {group} points, a batch needs {needed}; "
                f"lower {keys}, or prepare another data set with --points {needed} or more"
            )
