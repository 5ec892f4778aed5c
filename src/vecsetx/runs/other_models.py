"""Models that a training uses: the one it starts from, and a teacher."""

from dataclasses import dataclass

import numpy as np
import torch

from vecsetx.data.batches import TrainingBatches
from vecsetx.errors import InputError
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.recipe import Recipe
from vecsetx.training.start import start_from
from vecsetx.training.teacher import Teacher

__all__ = ["OtherModels"]


@dataclass(frozen=True, slots=True)
class OtherModels:
    """The models that a recipe names.

    Attributes:
        names: Option → the model's name, as ``training.start``.
        start: The model whose weights the training starts from; None for random weights.
        teacher: The model that supplies what hearts do not annotate; None for none.
    """

    names: dict[str, str]
    start: TrainedModel | None
    teacher: TrainedModel | None

    @classmethod
    def of(cls, recipe: Recipe) -> "OtherModels":
        """Read the models of a recipe.

        Raises:
            InputError: One cannot be read, or knows hearts in another pose than the recipe's or
                the other one's.
        """
        training = recipe.training
        wanted = {"training.start": training.start, "training.teacher": training.teacher}
        names = {option: name for option, name in wanted.items() if name is not None}
        models = {option: _read(option, name, recipe) for option, name in names.items()}
        start, teacher = models.get("training.start"), models.get("training.teacher")
        if start and teacher and not _same_pose(start.pose, teacher.pose):
            raise InputError(
                f"training.teacher {training.teacher}: knows hearts in another pose than "
                f"training.start {training.start}; choose models of the same reference heart, or "
                "leave one of them out"
            )
        return cls(names, start, teacher)

    @property
    def pose(self) -> ReferenceHeart | None:
        """The heart as which they know all others; None: they say nothing of it."""
        # All see the same batches, so hearts must lie for the new model as they do for these.
        first = self.start or self.teacher
        return first.pose if first else None

    def start_from(self, model: VecSetAutoEncoder, batches: TrainingBatches) -> str:
        """Copy the weights to start from, if there are any.

        Returns:
            What was copied, as a sentence; empty if there is nothing to copy.

        Raises:
            InputError: The model does not fit.
        """
        if self.start is None:
            return ""
        name, other = self.names["training.start"], self.start
        mm_per_unit = batches.files[0].info.frame.mm_per_unit
        try:
            if other.mm_per_unit != mm_per_unit:
                raise InputError(
                    f"has {other.mm_per_unit:g} mm per unit, the data have {mm_per_unit:g}; "
                    f"prepare with --mm-per-unit {other.mm_per_unit:g}, or choose another model"
                )
            started = start_from(model, batches.structures, other.network, other.structures)
        except InputError as error:
            raise InputError(f"training.start {name}: {error}") from error
        new = f"; new are {', '.join(started.new)}" if started.new else ""
        return f"starts from {name}, which knows {', '.join(started.known)}{new}"

    def as_teacher(
        self, batches: TrainingBatches, recipe: Recipe, device: torch.device
    ) -> Teacher | None:
        """Return the teacher, ready to teach; None if there is none.

        Raises:
            InputError: It does not fit the data, or there is nothing to teach.
        """
        trained, name = self.teacher, recipe.training.teacher
        if trained is None:
            return None
        if all(set(batches.structures) == set(annotated) for annotated in batches.annotated):
            raise InputError(
                f"training.teacher {name}: all hearts annotate all structures, so there is "
                "nothing to teach; leave it out"
            )
        try:
            teacher = Teacher(trained.network, trained.structures, batches.structures, device)
        except InputError as error:
            raise InputError(f"training.teacher {name}: {error}") from error
        mm_per_unit, truncation = (
            batches.files[0].info.frame.mm_per_unit,
            recipe.objective.truncation,
        )
        if trained.mm_per_unit != mm_per_unit or trained.truncation < truncation:
            raise InputError(
                f"training.teacher {name}: has {trained.mm_per_unit:g} mm per unit and distances "
                f"up to {trained.truncation:g} units; the data have {mm_per_unit:g} mm per unit, "
                f"and the objective needs distances up to {truncation:g} units: choose another "
                "teacher, or lower objective.truncation"
            )
        return teacher


def _read(option: str, name: str, recipe: Recipe) -> TrainedModel:
    try:
        trained = TrainedModel.from_pretrained(name)
    except InputError as error:
        raise InputError(f"{option} {name}: {error}") from error
    pose = "scan" if trained.pose is None else "anatomy"
    if pose != recipe.batch.pose:
        raise InputError(
            f"{option} {name}: was trained with batch.pose={pose}, so it knows hearts in another "
            f"pose; add batch.pose={pose}, or choose another model"
        )
    return trained


def _same_pose(one: ReferenceHeart | None, other: ReferenceHeart | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.points_mm.keys() == other.points_mm.keys() and all(
        np.array_equal(points, other.points_mm[name]) for name, points in one.points_mm.items()
    )
