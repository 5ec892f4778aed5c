"""Drawing training batches from a data set.

The hearts of a run are one endless sequence, of which batch n is the n-th part. What is drawn of a
heart depends on the seed and its place in the sequence alone. So a run that was stopped goes on
exactly where it was, and nothing of the data's state need be saved; and it makes no difference
whether a step's hearts come in one batch, or in several to as many passes or processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import PositiveInt
from torch.utils.data import Dataset

from vecsetx.data.augment import AugmentSpec, augment
from vecsetx.data.batch import Batch
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.errors import InputError
from vecsetx.sampling.farthest import anchors_by_structure
from vecsetx.sampling.samples import SamplesFile


@dataclass(frozen=True, slots=True)
class DrawSpec:
    """How much of each heart a step sees.

    Attributes:
        hearts: Hearts that go through the model together: in a step of several passes or processes,
            in each of them.
        points: Surface points given to the model.
        surface, near, volume: Query points of each kind.
    """

    hearts: PositiveInt = 4
    points: PositiveInt = 2048
    surface: PositiveInt = 256
    near: PositiveInt = 512
    volume: PositiveInt = 256


class Draws:
    """Training batches of a list of hearts.

    Args:
        dataset: The data set.
        hearts: The hearts to draw from; each comes once per pass, in random order.
        spec: How much of each heart.
        augmentation: How far hearts are moved, or None to leave them in place.
        anchors: Anchors per heart; 0 for models without.
        seed: Seed of everything random here.

    Raises:
        InputError: No hearts, or one whose file cannot be read or holds too few points.
    """

    def __init__(
        self,
        dataset: DataSet,
        hearts: Sequence[HeartEntry],
        spec: DrawSpec,
        augmentation: AugmentSpec | None,
        anchors: int,
        seed: int,
    ) -> None:
        if not hearts:
            raise InputError(f"{dataset.folder}: no hearts to draw from in this split")
        self.spec, self.augmentation, self.anchors, self.seed = spec, augmentation, anchors, seed
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
            "surface": max(spec.points, spec.surface),
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
        """Batch 0, 1, … of the sequence."""
        first = number * self.spec.hearts
        return Batch.joined([self._draw(place) for place in range(first, first + self.spec.hearts)])

    def names(self, step: int, passes: int, ranks: int) -> list[str]:
        """Hearts that a step of several passes and processes sees."""
        count = passes * ranks * self.spec.hearts
        places = range(step * count, (step + 1) * count)
        return [self.files[self._heart_at(place)].info.name for place in places]

    def _heart_at(self, place: int) -> int:
        epoch, index = divmod(place, len(self.files))
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.files))
        return int(order[index])

    def _draw(self, place: int) -> Batch:
        index = self._heart_at(place)
        generator = np.random.default_rng([self.seed, 1, place])
        drawn = draw_heart(
            self.files[index],
            self.structures,
            self.annotated[index],
            self.spec,
            self.anchors,
            generator,
        )
        heart = Batch(**{name: values[None] for name, values in drawn.items()})
        if self.augmentation is None:
            return heart
        movement = torch.Generator().manual_seed(_seed(self.seed, 2, place))
        return augment(heart, self.augmentation, movement)


class Batches(Dataset[list[Batch]]):
    """What one process of a run sees: item n is its part of step n, a batch for every pass.

    Args:
        draws: The sequence of hearts.
        passes: Passes per step.
        rank: This process, 0…ranks−1.
        ranks: Processes.
    """

    def __init__(self, draws: Draws, passes: int, rank: int, ranks: int) -> None:
        self.draws, self.passes, self.rank, self.ranks = draws, passes, rank, ranks

    def __getitem__(self, step: int) -> list[Batch]:
        """The batches of a step."""
        first = (step * self.ranks + self.rank) * self.passes
        return [self.draws.batch(number) for number in range(first, first + self.passes)]


def draw_heart(
    file: SamplesFile,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    spec: DrawSpec,
    anchors: int,
    generator: np.random.Generator,
) -> dict[str, torch.Tensor]:
    """One heart's part of a batch, in units: the fields of :class:`Batch` without the first axis.

    The file is in random order, so that a slice from a random row is a random draw. Structures that
    it has not are infinitely far: known to be so if its data set annotates them.

    Args:
        file: The heart's samples.
        structures: Names of the K structures of the batch.
        annotated: Those that the heart's data set annotates.
        spec: How much is drawn.
        anchors: Anchors; 0 for none.
        generator: Source of the draw.
    """
    info = file.info
    column = np.array([structures.index(name) for name in info.structures])
    absent_known = np.where(np.isin(structures, annotated), np.inf, -np.inf).astype(np.float32)

    def rows(group: str, count: int, *names: str) -> list[np.ndarray]:
        start = int(generator.integers(file.count(group)))
        return [file.rows(f"{group}.{name}", start, count) for name in names]

    points_mm, structure, normals = rows(
        "surface", spec.points, "points_mm", "structure", "normals"
    )
    drawn: dict[str, np.ndarray] = {
        "points": info.frame.to_unit(points_mm),
        "structure": column[structure],
        "normals": normals,
        "anchors": anchors_by_structure(points_mm, structure, anchors),
    }
    for group, count in (
        ("surface", spec.surface),
        ("near", spec.near),
        ("volume", spec.volume),
    ):
        further = ("structure", "normals") if group == "surface" else ()
        query_mm, distances_mm, edge_mm, *found = rows(
            group, count, "points_mm", "distances_mm", "edge_mm", *further
        )
        distances = np.full((count, len(structures)), np.inf, dtype=np.float32)
        known = np.tile(absent_known, (count, 1))
        distances[:, column] = info.frame.length_to_unit(distances_mm)
        known[:, column] = info.frame.length_to_unit(info.known_mm(edge_mm))
        drawn[group] = info.frame.to_unit(query_mm)
        drawn[f"{group}_distances"], drawn[f"{group}_known"] = distances, known
        if group == "surface":
            drawn["surface_structure"], drawn["surface_normals"] = column[found[0]], found[1]
    return {name: torch.from_numpy(array) for name, array in drawn.items()}


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
