"""What a training run is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vecsetx.data.batches import TrainingBatches
from vecsetx.model.vecset import VecSetAutoEncoder
from vecsetx.training.journal import Entry
from vecsetx.training.objective import ObjectiveSpec
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.ranks import Ranks
from vecsetx.training.spec import TrainingSpec
from vecsetx.training.stopping import StopRequest
from vecsetx.training.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Validation:
    """What a validation found; each part as in a journal's :class:`Entry`."""

    loss: float
    terms: dict[str, float]
    points: dict[str, dict[str, float]]
    grid_dice: float | None
    grid: dict[str, float]
    grid_hearts: list[str]


@runtime_checkable
class Validator(Protocol):
    """Looks at a model with hearts that it is not trained on."""

    def validate(self, model: VecSetAutoEncoder, turn: int, rank: int, ranks: int) -> Any:
        """This rank's share of validation 0, 1, …, fit for pickling. Ranks do not talk here."""
        ...

    def summary(self, shares: list[Any]) -> Validation:
        """What all ranks' shares come to."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a training run needs.

    Attributes:
        folder: Where ``metrics.jsonl``, ``checkpoint.pt`` and ``best.pt`` are kept.
        model: Fresh weights; trained in place.
        batches: The hearts to learn from.
        objective, optimizer: How it learns.
        training: How long and how, in steps (:meth:`TrainingSpec.in_steps`).
        validator: Looks at the model now and then, or None.
        observers: Are told of every journal entry (to display it, say).
        warn: Is told what went wrong without ending the run.
        ranks: The processes that train together.
        request: Says when to stop.
        teacher: Says what hearts are not annotated with; None for nobody.
    """

    folder: Path
    model: VecSetAutoEncoder
    batches: TrainingBatches
    objective: ObjectiveSpec
    optimizer: OptimizerSpec
    training: TrainingSpec
    validator: Validator | None
    observers: list[Callable[[Entry], None]]
    warn: Callable[[str], None]
    ranks: Ranks
    request: StopRequest
    teacher: Teacher | None = None

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint's file."""
        return self.folder / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation."""
        return self.folder / "best.pt"

    @property
    def hearts_per_step(self) -> int:
        """Hearts that a step sees, in all passes of all ranks."""
        return self.batches.spec.hearts * self.training.passes * self.ranks.count
