"""The parts of a training run, and the interface of validators."""

from collections.abc import Callable
from dataclasses import dataclass, field
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

__all__ = ["Run", "Validation", "Validator"]


@dataclass(frozen=True, slots=True)
class Validation:
    """The result of a validation; its fields are those of a journal :class:`Entry`."""

    loss: float
    terms: dict[str, float]
    points: dict[str, dict[str, float]]
    grid_dice: float | None
    grid: dict[str, float]
    grid_hearts: list[str]


@runtime_checkable
class Validator(Protocol):
    """Validates a model on hearts that it is not trained on."""

    def validate(self, model: VecSetAutoEncoder, turn: int, rank: int, ranks: int) -> Any:
        """This rank's share of validation 0, 1, …; ``summary`` combines the shares of all ranks.

        Args:
            model: In evaluation mode.
            turn: Number of the validation.
            rank: This process, 0…ranks−1.
            ranks: Number of processes. They must not communicate here.

        Returns:
            Anything that can be pickled.
        """
        ...

    def summary(self, shares: list[Any]) -> Validation:
        """Combine the shares of all ranks."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a training run needs.

    Attributes:
        folder: Folder of ``metrics.jsonl``, ``checkpoint.pt`` and ``best.pt``.
        model: The model, with initial weights; trained in place.
        batches: The training hearts.
        objective, optimizer: Loss, optimizers and schedule.
        training: Length of the run, in steps (:meth:`TrainingSpec.in_steps`), and other options.
        validator: Validates the model at intervals, or None.
        observers: Called with every journal entry, for displays and loggers.
        warn: Called with a message about anything that goes wrong without ending the run.
        ranks: The processes that train together.
        request: Whether a signal to stop the run has arrived.
        teacher: Supplies distances to unannotated structures, or None.
        counters: Called after every step with the number of steps done.
        identity: What tells the run from others, in its checkpoints.
        former_steps: The length of the run before it was resumed, if that was another.
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
    counters: list[Callable[[int], None]] = field(default_factory=list)
    identity: str = ""
    former_steps: int | None = None

    @property
    def checkpoint(self) -> Path:
        """The file of the last checkpoint."""
        return self.folder / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """The file with the weights of the best validation."""
        return self.folder / "best.pt"

    @property
    def hearts_per_step(self) -> int:
        """Hearts per step, in all passes of all ranks."""
        return self.batches.spec.hearts * self.training.passes * self.ranks.count
