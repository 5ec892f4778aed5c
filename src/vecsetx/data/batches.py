"""Drawing training batches from a data set.

The hearts of a run are one endless sequence, of which batch n is the n-th part. What is drawn of a
heart depends on the seed and its place in the sequence alone. So a run that was stopped goes on
exactly where it was, and nothing of the data's state need be saved; and it makes no difference
whether a step's hearts come in one batch, or in several to as many passes or processes.

A heart whose file vanishes or is damaged meanwhile is lost: the next one that can be read takes its
place. Nothing is remembered of it: all processes draw alike, and it is back once its file is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydantic import PositiveInt
from torch.utils.data import Dataset

from vecsetx.anatomy.frame import Frame
from vecsetx.data.augment import STILL, AugmentSpec, random_movement
from vecsetx.data.batch import QUERY_GROUPS, Batch
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.partial import SPARE, Hiding, PartialSpec, Shown
from vecsetx.data.rows import Rows
from vecsetx.errors import InputError
from vecsetx.sampling.samples import SamplesFile, SurfacePoints


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """How much of each heart a step sees.

    Attributes:
        hearts: Hearts that go through the model together: in a step of several passes or processes,
            in each of them.
        points: Surface points given to the model.
        surface, near, volume: Query points of each kind.
        balance: Whether hearts of every label set come equally often, however many there are.
    """

    hearts: PositiveInt = 4
    points: PositiveInt = 2048
    surface: PositiveInt = 256
    near: PositiveInt = 512
    volume: PositiveInt = 256
    balance: bool = True


@dataclass(frozen=True, slots=True)
class LostHeart:
    """A heart that could not be drawn from.

    Attributes:
        name: Its name.
        path: Its samples file.
        error: What is wrong with it.
    """

    name: str
    path: Path
    error: str


@dataclass(frozen=True, slots=True)
class StepBatches:
    """What a step gives one process.

    Attributes:
        batches: A batch for every pass.
        lost: Hearts in whose place others were drawn, each once.
    """

    batches: list[Batch]
    lost: tuple[LostHeart, ...]


class TrainingBatches:
    """Training batches of a list of hearts.

    Args:
        dataset: The data set.
        hearts: The hearts to draw from; each comes once per pass, in random order.
        spec: How much of each heart.
        augmentation: How far hearts are moved, or None to leave them in place.
        seed: Seed of everything random here.
        partial: What is hidden of them from the model; None for nothing.

    Raises:
        InputError: No hearts, or one whose file cannot be read or holds too few points.
    """

    def __init__(
        self,
        dataset: DataSet,
        hearts: Sequence[HeartEntry],
        spec: BatchSpec,
        augmentation: AugmentSpec | None,
        seed: int,
        partial: PartialSpec | None = None,
    ) -> None:
        if not hearts:
            raise InputError(f"{dataset.folder}: no hearts to draw from in this split")
        self.spec, self.augmentation, self.seed = spec, augmentation, seed
        self.partial = partial or PartialSpec()
        self._sources = _sources(hearts, spec.balance)
        self.structures = dataset.structures
        self.files = [dataset.open(heart) for heart in hearts]
        self.annotated = [heart.annotated for heart in hearts]
        scales = {file.info.frame.mm_per_unit for file in self.files}
        if len(scales) > 1:
            raise InputError(
                f"{dataset.folder}: hearts of different mm per unit {sorted(scales)}; prepare all "
                "of them with the same --mm-per-unit"
            )
        wanted = {
            "surface": spec.points + spec.surface,
            "near": spec.near,
            "volume": spec.volume,
        }
        for file in self.files:
            for group, count in wanted.items():
                if file.count(group) < count:
                    raise InputError(
                        f"{file.path}: holds {file.count(group)} {group} points, a step draws "
                        f"{count}; draw fewer or prepare more"
                    )

    def batch(self, number: int) -> Batch:
        """Batch 0, 1, … of the sequence; :class:`InputError` if one of its hearts is lost."""
        batch, lost = self.substituted(number)
        if lost:
            raise InputError(lost[0].error)
        return batch

    def substituted(self, number: int) -> tuple[Batch, list[LostHeart]]:
        """Batch 0, 1, … of the sequence, with other hearts in the place of lost ones.

        The next heart of the same pass over all hearts takes the place; what is drawn for other
        places stays the same.

        Returns:
            The batch, and the hearts that were met and found lost.

        Raises:
            InputError: No heart can be read.
        """
        lost: list[LostHeart] = []
        spec = self.spec
        counts = (spec.points, spec.surface, spec.near, spec.volume)
        rows = Rows.empty(spec.hearts, *counts, len(self.structures))
        for row in range(spec.hearts):
            self._draw(number * spec.hearts + row, rows.heart(row), lost)
        return rows.batch(*counts), lost

    def names(self, step: int, passes: int, ranks: int) -> list[str]:
        """Hearts that a step of several passes and processes sees, if none is lost."""
        count = passes * ranks * self.spec.hearts
        places = range(step * count, (step + 1) * count)
        return [self.files[self._candidates(place)[0]].info.name for place in places]

    def _candidates(self, place: int) -> list[int]:
        """The heart of a place, and those that take it over from lost ones, one after another."""
        turn, source = divmod(place, len(self._sources))
        hearts = self._sources[source]
        epoch, index = divmod(turn, len(hearts))
        order = _order(self.seed, epoch, source, len(hearts))
        return [hearts[number] for number in order[index:] + order[:index]]

    def _draw(self, place: int, rows: Rows, lost: list[LostHeart]) -> None:
        for index in self._candidates(place):
            file = self.files[index]
            generator = np.random.default_rng([self.seed, 1, place])
            try:
                return draw_heart(
                    file,
                    self.structures,
                    self.annotated[index],
                    self.spec,
                    self.augmentation,
                    generator,
                    rows,
                    self.partial.at(place),
                )
            except InputError as error:
                lost.append(LostHeart(file.info.name, file.path, f"{file.info.name}: {error}"))
        raise InputError(f"none of the {len(self.files)} hearts can be read: {lost[-1].error}")


class StepDataset(Dataset[StepBatches]):
    """What one process of a run sees: item n is its part of step n, a batch for every pass.

    Args:
        batches: The sequence of hearts.
        passes: Passes per step.
        rank: This process, 0…ranks−1.
        ranks: Processes.
    """

    def __init__(self, batches: TrainingBatches, passes: int, rank: int, ranks: int) -> None:
        self.batches, self.passes, self.rank, self.ranks = batches, passes, rank, ranks

    def __getitem__(self, step: int) -> StepBatches:
        """The batches of a step; :class:`InputError` if no heart can be read."""
        first = (step * self.ranks + self.rank) * self.passes
        drawn = [self.batches.substituted(number) for number in range(first, first + self.passes)]
        lost = {heart.name: heart for _, of_batch in drawn for heart in of_batch}
        return StepBatches([batch for batch, _ in drawn], tuple(lost.values()))


def _sources(hearts: Sequence[HeartEntry], balance: bool) -> list[list[int]]:
    """Numbers of the hearts that take turns: those of each label set, or all together."""
    sources: dict[str, list[int]] = {}
    for number, heart in enumerate(hearts):
        sources.setdefault(heart.label_set if balance else "", []).append(number)
    return list(sources.values())


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, source: int, hearts: int) -> list[int]:
    """The order in which a pass over all hearts of a source, an epoch, sees them."""
    return np.random.default_rng([seed, 0, epoch, source]).permutation(hearts).tolist()


def draw_heart(
    file: SamplesFile,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    spec: BatchSpec,
    augmentation: AugmentSpec | None,
    generator: np.random.Generator,
    rows: Rows,
    hiding: Hiding | None = None,
) -> None:
    """Draw what a step sees of one heart.

    The file is in random order, so that a slice from a random row is a random draw. Structures that
    it has not are infinitely far: known to be so if its data set annotates them.

    Args:
        file: The heart's samples.
        structures: Names of the K structures of the batch.
        annotated: Those that the heart's data set annotates.
        spec: How much is drawn.
        augmentation: How far the heart is moved, or None to leave it in place.
        generator: Source of the draw.
        rows: The heart's place in the batch, which is filled.
        hiding: What is hidden of it from the model, or None for nothing. The frame then is that of
            what is shown, as it will be in use.

    Raises:
        InputError: The file cannot be read any more, or holds values that cannot be.
    """
    info = file.info
    places = zip(QUERY_GROUPS, generator.random(3).tolist(), strict=True)
    first, first_near, first_volume = (int(place * file.count(group)) for group, place in places)
    shown_at_most = min(SPARE * spec.points, file.count("surface") - spec.surface)
    before = spec.points if hiding is None else shown_at_most
    drawn = file.part(
        surface=(first, before + spec.surface),  # those that may be shown, then queries
        near=(first_near, spec.near),
        volume=(first_volume, spec.volume),
    )
    surface, near, volume = drawn.surface, drawn.near, drawn.volume
    shown = Shown(surface.points_mm[:before], surface.structure[:before], surface.normals[:before])
    frame = info.frame
    if hiding is not None:
        shown = hiding.show(shown, spec.points, generator)
        frame = _frame_of(shown, info.frame)
    asked = slice(before, None)
    movement = STILL if augmentation is None else random_movement(augmentation, generator)
    matrix, offset, factor = movement.from_mm(frame)
    everywhere = (shown.points_mm, surface.points_mm[asked], near.points_mm, volume.points_mm)
    with np.errstate(invalid="ignore"):  # infinities are told below
        np.concatenate([points_mm @ matrix for points_mm in everywhere], out=rows.points)
        normals = surface.normals @ movement.rotation.T
        shown_normals = normals[:before] if hiding is None else shown.normals @ movement.rotation.T
        np.concatenate([shown_normals, normals[asked]], out=rows.normals)
    for axis, by in enumerate(offset.tolist()):  # faster than adding rows of three
        rows.points[:, axis] += by
    distances = np.concatenate(
        (surface.distances_mm[asked], near.distances_mm, volume.distances_mm)
    )
    edge_mm = np.concatenate((surface.edge_mm[asked], near.edge_mm, volume.edge_mm))
    if impossible := _impossible(
        rows.points, normals, distances, edge_mm, surface, len(info.structures)
    ):
        raise InputError(f"{file.path}: {impossible}; prepare the data again")
    columns: slice | np.ndarray = slice(None)
    structure = np.concatenate([shown.structure, surface.structure[asked]])
    if info.structures == structures:
        rows.structure[:] = structure
    else:
        columns = np.array([structures.index(name) for name in info.structures])
        rows.structure[:] = columns[structure]
        rows.distances[:] = np.inf
        rows.known[:] = [np.inf if name in annotated else -np.inf for name in structures]
    rows.distances[:, columns] = factor * distances
    rows.known[:, columns] = factor * info.known_mm(edge_mm) if info.cut else np.inf
    if not movement.normals:
        rows.normals[: spec.points] = 0


def _frame_of(shown: Shown, frame: Frame) -> Frame:
    """The frame of what is shown; if that is not finite, which is told later, the heart's own."""
    if not math.isfinite(np.vdot(shown.points_mm, shown.points_mm)):
        return frame
    return Frame.around(shown.points_mm, frame.mm_per_unit)


def _impossible(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "s 3"],
    distances: Float[np.ndarray, "q k"],
    edge_mm: Float[np.ndarray, " q"],
    surface: SurfacePoints,
    structures: int,
) -> str | None:
    """What is wrong with a heart's values, as far as a glance tells.

    A sum of squares is finite only if all values are, and that of unit vectors is their number.
    """
    for values, what in ((points, "points"), (distances, "distances")):
        if not math.isfinite(np.vdot(values, values)):
            return f"{what} that are not finite"
    if math.isnan(edge_mm.min()):
        return "distances to the scan's edge that are no numbers"
    if surface.structure.max() >= structures:
        return f"points of structure {surface.structure.max()}, where it has {structures}"
    if not abs(np.vdot(normals, normals) / len(normals) - 1) < 1e-3:
        return "normals that are not of length 1"
    return None
