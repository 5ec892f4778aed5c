"""Drawing training batches from a data set.

Step n's batch depends on the seed and n alone, so that a run that was stopped goes on exactly where
it was, and nothing of the data's state need be saved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import PositiveInt

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
        hearts: Hearts per step.
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

    def batch(self, step: int) -> Batch:
        """The batch of a step (0, 1, …)."""
        first = step * self.spec.hearts
        hearts = [self._draw(position) for position in range(first, first + self.spec.hearts)]
        batch = Batch(**{name: torch.stack([h[name] for h in hearts]) for name in hearts[0]})
        if self.augmentation is None:
            return batch
        generator = torch.Generator().manual_seed(_seed(self.seed, 2, step))
        return augment(batch, self.augmentation, generator)

    def _heart_at(self, position: int) -> int:
        epoch, index = divmod(position, len(self.files))
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.files))
        return int(order[index])

    def _draw(self, position: int) -> dict[str, torch.Tensor]:
        index = self._heart_at(position)
        generator = np.random.default_rng([self.seed, 1, position])
        return draw_heart(
            self.files[index],
            self.structures,
            self.annotated[index],
            self.spec,
            self.anchors,
            generator,
        )


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
