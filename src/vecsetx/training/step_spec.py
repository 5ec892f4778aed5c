"""What determines the memory of a training step."""

from dataclasses import dataclass

from vecsetx.data.draw import BatchSpec
from vecsetx.model.vecset import ModelSpec
from vecsetx.training.objective import ObjectiveSpec
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.spec import TrainingSpec

__all__ = ["StepSpec"]


@dataclass(frozen=True, slots=True)
class StepSpec:
    """The parts of a recipe that determine a step's memory.

    Attributes:
        model, batch, objective, optimizer, training: Parts of a recipe. The number of hearts is
            not used; precision ``auto`` means bf16 here, as on all current GPUs.
        structure_count: K.
    """

    model: ModelSpec
    batch: BatchSpec
    objective: ObjectiveSpec
    optimizer: OptimizerSpec
    training: TrainingSpec
    structure_count: int
