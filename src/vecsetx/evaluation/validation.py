"""Validate a model during training on hearts that it is not trained on.

Every validation computes the loss and point scores of all validation hearts, and the voxel grid
scores of a few: some hearts every time, which serve to compare models, and others in turn. Models
trained on partial hearts are also validated on partial hearts: the loss and point scores use
partial hearts, the grid scores both whole and partial ones. The visible part of a heart is the same
in every validation.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vecsetx.anatomy.frame import Frame, Rotation
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.cine.ventricle import Structures
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.partial import ObservedPoints, PartialView
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.evaluation.scores import Score, score_heart, summarize
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.inference.domain import recenter_domain
from vecsetx.model.heart_field import HeartField
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.progress import counted_parts, staged
from vecsetx.recipe import Recipe
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sample_checks import check_samples
from vecsetx.sampling.samples import HeartInfo, SamplesFile
from vecsetx.training.objective import objective
from vecsetx.training.point_scores import confusion, mean_terms, point_scores
from vecsetx.training.run import Validation, Validator

__all__ = ["IN_PART", "STRIDE", "HeartsValidator", "RankScores", "make_validator"]

STRIDE = 3
"""Validation scores every third voxel along each axis of the label map's grid."""

IN_PART = ", in part"
"""Suffix of a heart's name if only a part of it is observed."""


def make_validator(
    dataset: DataSet, fold: int | None, recipe: Recipe, reference: ReferenceHeart | None
) -> Validator | None:
    """Create the validator of a data set; None if it has no validation hearts.

    Args:
        dataset: The data set.
        fold: Fold to validate on; None for the data set's own split.
        recipe: Recipe of the training run.
        reference: The heart as which training turns all hearts; None if it turns none.

    Raises:
        InputError: A heart that every validation scores cannot be read.
    """
    hearts = dataset.of_split("val", fold)
    return HeartsValidator(dataset, hearts, recipe, reference) if hearts else None


@dataclass(frozen=True, slots=True)
class RankScores:
    """Scores that one rank contributes to a validation.

    Attributes:
        terms: The loss terms of each of its hearts.
        counts: :func:`~vecsetx.training.point_scores.confusion`, summed over its hearts.
        scores: Grid scores of its hearts.
    """

    terms: list[dict[str, float]]
    counts: Int[Tensor, "k 4"]
    scores: list[Score]


class HeartsValidator:
    """Validates a model on the validation hearts of a data set.

    Structures that a heart's label map does not annotate are not scored.

    Args:
        dataset: The data set.
        hearts: Its validation hearts.
        recipe: Recipe of the training run.
        reference: The heart as which training turns all hearts; None if it turns none.

    Raises:
        InputError: A heart that every validation scores cannot be read.
    """

    def __init__(
        self,
        dataset: DataSet,
        hearts: tuple[HeartEntry, ...],
        recipe: Recipe,
        reference: ReferenceHeart | None,
    ) -> None:
        self._dataset, self._recipe = dataset, recipe
        one_by_one = replace(recipe.batch, hearts=1, variants=False)
        # Without the ramp, which hides less at the start of training: validations stay comparable.
        self._partial = replace(recipe.partial, ramp=0)
        # No augmentation, and a fixed seed.
        self._batches = TrainingBatches(
            dataset, hearts, one_by_one, None, 0, self._partial, reference
        )
        on_grids = [heart for heart in hearts if source_of(dataset, heart).has_volume]
        count = recipe.training.validate_hearts
        same = len(on_grids) if len(on_grids) <= count else -(-count // 2)
        # Half of the grid-scored hearts are the same in every validation, others take turns.
        self._same, self._others = on_grids[:same], on_grids[same:]
        self._taking_turns = count - same if self._others else 0
        self._read: dict[str, tuple[LabelMap, dict[str, Observation]]] = {}
        for heart in counted_parts(self._same, "heart"):
            self._grid(heart)

    def on_grids(self, turn: int) -> list[HeartEntry]:
        """Return the hearts whose grids are scored in validation ``turn``, from 0 up."""
        first = turn * self._taking_turns
        places = range(first, first + self._taking_turns)
        return self._same + [self._others[place % len(self._others)] for place in places]

    @staged("validating")
    @torch.no_grad()
    def validate(self, model: VecSetAutoEncoder, turn: int, rank: int, ranks: int) -> RankScores:
        """Validate every ``ranks``-th heart, starting with heart ``rank``.

        Args:
            model: The model, in evaluation mode.
            turn: Number of the validation, 0, 1, …
            rank: This process, 0…``ranks`` − 1.
            ranks: Number of processes.
        """
        device = next(model.parameters()).device
        terms, counts = [], torch.zeros(len(self._dataset.structures), 4, dtype=torch.int64)
        for place in range(rank, len(self._batches.files), ranks):
            batch = self._batches.batch(place).to(device)
            found = objective(model, batch, self._recipe.objective)[1]
            terms.append({name: float(term) for name, term in found.items()})
            counts += confusion(model, batch)
        scores = [
            score
            for heart in self.on_grids(turn)[rank::ranks]
            for score in self._score(model, heart)
        ]
        return RankScores(terms, counts, scores)

    def summary(self, shares: list[RankScores]) -> Validation:
        """Combine all ranks' scores: means over hearts and, per structure, over hearts with it."""
        structures = self._dataset.structures
        terms = mean_terms([term for share in shares for term in share.terms])
        counts = torch.stack([share.counts for share in shares]).sum(dim=0)
        scores = [score for share in shares for score in share.scores]
        # Only hearts that every validation scores make validations comparable.
        every_time = {name for heart in self._same for name in self._grid(heart)[1]}
        compared = summarize([score for score in scores if score.heart in every_time])["summary"]
        by_structure = summarize(scores)["summary"]["structures"]
        return Validation(
            loss=sum(terms.values()),
            terms=terms,
            points=point_scores(counts, structures),
            grid_dice=compared["mean"]["dice"],
            grid={
                name: by_structure[name]["dice"]["mean"]
                for name in structures
                if name in by_structure and by_structure[name]["dice"]["n"]
            },
            grid_hearts=sorted({score.heart for score in scores}),
        )

    def _score(self, model: VecSetAutoEncoder, heart: HeartEntry) -> list[Score]:
        structures = self._dataset.structures
        truth, observations = self._grid(heart)
        truncation = self._recipe.objective.truncation
        found: list[Score] = []
        for name, observation in observations.items():
            field = HeartField.encode(model, structures, observation, truncation)
            field = recenter_domain(field, observation.points_mm)
            predicted = truth.known_part(rasterize(field, truth))
            found += score_heart(name, truth.labels, predicted.labels, structures)
        return [score for score in found if score.structure in heart.annotated]

    def _grid(self, heart: HeartEntry) -> tuple[LabelMap, dict[str, Observation]]:
        """Return a heart's truth on every third voxel, and observations by name; cached."""
        if heart.name not in self._read:
            dataset, points = self._dataset, self._recipe.batch.points
            truth = _truth(dataset, heart)
            file = dataset.open(heart)
            rotation = self._batches.rotation_of(heart.name)
            whole = observed_surface(file, dataset.structures, rotation)
            observations = {heart.name: _first(whole, points)}
            if view := self._partial.at(0):
                # Points to choose from; the seed makes each heart's visible part reproducible.
                generator = np.random.default_rng([0, *heart.name.encode()])
                view = view.decided(generator)
                more = _first(whole, view.candidates(points))
                known = _known(file.info, dataset.structures)
                part = _in_part(more, view, points, generator, known)
                observations[f"{heart.name}{IN_PART}"] = part
            self._read[heart.name] = truth.downsampled(STRIDE), observations
        return self._read[heart.name]


def _truth(dataset: DataSet, heart: HeartEntry) -> LabelMap:
    """Read the label map that a heart was prepared from.

    Raises:
        InputError: It cannot be read, or not with what is installed.
    """
    try:
        return source_of(dataset, heart).segmentation(dataset.structures).label_map
    except ModuleNotFoundError as error:
        raise InputError(
            f"{heart.source}: reading it needs {error.name}, which is not installed; install it, "
            "or train without validations (training.validate_every=0)"
        ) from error


def observed_surface(
    file: SamplesFile, structures: tuple[str, ...], rotation: Rotation
) -> Observation:
    """Observe all surface points of a prepared heart, in their random order.

    They need no surface made from the label map, and hence no VTK, which a training node may lack.

    Args:
        file: The heart.
        structures: Names of the K structures of the model.
        rotation: Rotation of the frame.

    Raises:
        InputError: The file is damaged.
    """
    info = file.info
    samples = file.part((0, file.count("surface")), (0, 0), (0, 0))
    check_samples(samples, file.path)
    surface = samples.surface
    number = np.array([structures.index(name) for name in info.structures])
    frame = Frame.around(surface.points_mm, info.frame.mm_per_unit, rotation)
    return Observation(surface.points_mm, number[surface.structure], surface.normals, frame)


def _first(whole: Observation, count: int) -> Observation:
    """Return the first points of an observation, in the frame of all."""
    normals = None if whole.normals is None else whole.normals[:count]
    return Observation(whole.points_mm[:count], whole.structure[:count], normals, whole.frame)


def _known(info: HeartInfo, structures: tuple[str, ...]) -> Structures:
    areas_mm2 = np.array([info.areas_mm2.get(name, 0.0) for name in structures])
    return Structures(structures, areas_mm2, np.isin(structures, info.cut))


def _in_part(
    whole: Observation,
    view: PartialView,
    points: int,
    generator: np.random.Generator,
    structures: Structures,
) -> Observation:
    """Observe a part of a heart with ``points`` points; unknown normals become 0."""
    normals = np.zeros_like(whole.points_mm) if whole.normals is None else whole.normals
    candidates = ObservedPoints(whole.points_mm, whole.structure, normals)
    part = view.observe(candidates, points, generator, structures)
    frame = Frame.around(part.points_mm, whole.frame.mm_per_unit, whole.frame.rotation)
    return Observation(part.points_mm, part.structure, part.normals, frame)
