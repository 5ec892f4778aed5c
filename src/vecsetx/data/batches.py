"""Training batches drawn from a data set.

The hearts of a run form one endless sequence, of which batch n is the n-th part. What is drawn of a
heart depends only on the seed and on the heart's position in the sequence. An interrupted run can
therefore continue exactly where it stopped without any saved state of the data, and the hearts of a
step are the same whether they come as one batch or are shared out among passes or processes.

Where a heart's file disappears or is damaged during a run, the next readable heart takes its place.
This is not remembered: all processes substitute the same hearts, and a restored file is used again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.frame import UPRIGHT, Frame, Rotation
from vecsetx.data.augment import IDENTITY, AugmentSpec, random_augmentation
from vecsetx.data.batch import QUERY_GROUPS, Batch
from vecsetx.data.buffer import BatchBuffer
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.partial import OVERSAMPLING, ObservedPoints, PartialSpec, PartialView
from vecsetx.data.turned import rotations_onto
from vecsetx.errors import InputError
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.ranges import Hearts, Points
from vecsetx.sampling.samples import HeartInfo, Samples, SamplesFile, SurfacePoints

__all__ = [
    "BatchSpec",
    "LostHeart",
    "TrainingBatches",
    "draw_heart",
]


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """Size of a batch.

    Attributes:
        hearts: Hearts that go through the model together. A step of several passes or processes
            sees this number in each of them.
        points: Surface points per heart that the encoder receives.
        surface, near, volume: Query points per heart of each group.
        balance: Whether label sets take turns, so that each contributes equally many hearts however
            many it has.
        variants: Whether the variants of a heart (``vecsetx vary``) take turns with it, at random.
        pose: ``anatomy`` turns every heart as one of them lies, by where its chambers are, in
            training and in use. ``scan`` leaves hearts as they lie in their files.
    """

    hearts: Hearts = 4
    points: Points = 2048
    surface: Points = 256
    near: Points = 512
    volume: Points = 256
    balance: bool = True
    variants: bool = True
    pose: Literal["anatomy", "scan"] = "anatomy"

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Points per heart: for the encoder, then surface, near and volume queries."""
        return self.points, self.surface, self.near, self.volume


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
                f"lower {keys}, or prepare the data again with more --points"
            )


def draw_heart(
    file: SamplesFile,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    spec: BatchSpec,
    augment: AugmentSpec | None,
    generator: np.random.Generator,
    buffer: BatchBuffer,
    view: PartialView | None = None,
    rotation: Rotation = UPRIGHT,
) -> None:
    """Draw one heart of a batch: input points and queries from its file, augmented, in units.

    Distances to a structure that the file lacks are infinite, and known to be so if the heart's
    data set annotates it.

    Args:
        file: The heart's samples.
        structures: Names of the K structures of the batch.
        annotated: Those that the heart's data set annotates.
        spec: Numbers of points.
        augment: Random augmentation, or None for the heart as it lies in its frame.
        generator: Source of randomness.
        buffer: The heart's part of the batch, which is filled.
        view: How the heart is hidden in part from the encoder, or None to show it whole. The frame
            is then computed from the observed points, as it is at inference.
        rotation: Turns the heart as the reference heart lies.

    Raises:
        InputError: The file can no longer be read, or holds impossible values.
    """
    # 1. Read: points that the encoder may receive, followed by the surface queries; near; volume.
    info = file.info
    candidates = spec.points
    if view is not None:  # hiding removes points, so more are needed
        candidates = min(OVERSAMPLING * spec.points, file.count("surface") - spec.surface)
    samples = _random_part(file, candidates + spec.surface, spec.near, spec.volume, generator)
    surface, near, volume = samples.surface, samples.near, samples.volume
    queried = slice(candidates, None)

    # 2. Hide parts of the heart from the encoder. The queries cover all of it.
    observed = ObservedPoints(
        surface.points_mm[:candidates], surface.structure[:candidates], surface.normals[:candidates]
    )
    frame = info.frame
    if view is not None:
        observed = view.observe(observed, spec.points, generator)
    if view is not None or rotation != UPRIGHT:
        frame = _frame_of(observed, info.frame, rotation)

    # 3. From mm to units, together with the augmentation: one affine map for all points.
    augmentation = IDENTITY if augment is None else random_augmentation(augment, generator)
    matrix, offset, factor, turn = augmentation.from_mm(frame)
    every_mm = (observed.points_mm, surface.points_mm[queried], near.points_mm, volume.points_mm)
    with np.errstate(invalid="ignore"):  # infinities are reported below
        np.concatenate([points_mm @ matrix for points_mm in every_mm], out=buffer.points)
        normals = surface.normals @ turn
        seen = normals[:candidates] if view is None else observed.normals @ turn
        np.concatenate([seen, normals[queried]], out=buffer.normals)
    for axis, by in enumerate(offset.tolist()):  # faster than adding rows of three
        buffer.points[:, axis] += by
    if not augmentation.normals:
        buffer.normals[: spec.points] = 0
    distances_mm = np.concatenate(
        (surface.distances_mm[queried], near.distances_mm, volume.distances_mm)
    )
    edge_mm = np.concatenate((surface.edge_mm[queried], near.edge_mm, volume.edge_mm))
    if fault := _invalid(
        buffer.points, normals, distances_mm, edge_mm, surface, len(info.structures)
    ):
        raise InputError(f"{file.path}: {fault}; prepare the data again")

    # 4. From the structures of the file to those of the batch.
    structure = np.concatenate([observed.structure, surface.structure[queried]])
    columns = _place_structures(info, structure, structures, annotated, buffer)
    buffer.distances[:, columns] = factor * distances_mm
    # Beyond the field of view a cut structure may go on: distances are known up to its edge.
    buffer.known[:, columns] = factor * info.known_mm(edge_mm) if info.cut else np.inf
    buffer.known[edge_mm == -np.inf] = -np.inf  # unknown voxels


def _random_part(
    file: SamplesFile, surface: int, near: int, volume: int, generator: np.random.Generator
) -> Samples:
    """Read random points of each group, given their numbers.

    Files are in random order, so that consecutive rows from a random start are a random sample.
    """
    shares = zip(QUERY_GROUPS, generator.random(3).tolist(), strict=True)
    start, start_near, start_volume = (int(share * file.count(group)) for group, share in shares)
    return file.part((start, surface), (start_near, near), (start_volume, volume))


def _place_structures(
    info: HeartInfo,
    structure: np.ndarray,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    buffer: BatchBuffer,
) -> slice | np.ndarray:
    """Write each point's structure into the buffer, and prepare the columns of other structures.

    Returns:
        The columns of the batch that belong to the file's structures, in the file's order.
    """
    if info.structures == structures:
        buffer.structure[:] = structure
        return slice(None)
    columns = np.array([structures.index(name) for name in info.structures])
    buffer.structure[:] = columns[structure]
    # An annotated structure without points is absent. Of an unannotated one, nothing is known.
    buffer.distances[:] = np.inf
    buffer.known[:] = [np.inf if name in annotated else -np.inf for name in structures]
    return columns


def _frame_of(observed: ObservedPoints, frame: Frame, rotation: Rotation) -> Frame:
    """The frame of the observed points; the heart's own where they are not finite."""
    finite = math.isfinite(np.vdot(observed.points_mm, observed.points_mm))
    return Frame.around(observed.points_mm, frame.mm_per_unit, rotation) if finite else frame


def _invalid(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "s 3"],
    distances_mm: Float[np.ndarray, "q k"],
    edge_mm: Float[np.ndarray, " q"],
    surface: SurfacePoints,
    structures: int,
) -> str | None:
    """What is wrong with a heart's values, or None; quick checks that catch damaged files.

    A sum of squares is finite only if all values are, and that of unit vectors is their number.
    """
    for values, what in ((points, "points"), (distances_mm, "distances")):
        if not math.isfinite(np.vdot(values, values)):
            return f"{what} that are not finite"
    if math.isnan(edge_mm.min()):
        return "distances to the scan's edge that are not numbers"
    if surface.structure.max() >= structures:
        return f"points of structure {surface.structure.max()}, but it has {structures} structures"
    if not abs(np.vdot(normals, normals) / len(normals) - 1) < 1e-3:
        return "normals that are not of length 1"
    return None
