"""The batches of a training step: one for each of its passes."""

from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import Dataset

from vecsetx.data.batch import Batch
from vecsetx.data.batches import LostHeart, TrainingBatches

__all__ = ["StepBatches", "StepDataset"]


@dataclass(frozen=True, slots=True)
class StepBatches:
    """The data of one training step for one process.

    Attributes:
        batches: A batch for every pass.
        lost: Hearts that were replaced because their files could not be read, each once.
    """

    batches: list[Batch]
    lost: tuple[LostHeart, ...]

    def pin_memory(self) -> "StepBatches":
        """Return a copy in page-locked memory, for fast copies to a GPU (by ``DataLoader``)."""
        return StepBatches([batch.map(Tensor.pin_memory) for batch in self.batches], self.lost)


class StepDataset(Dataset[StepBatches]):
    """A process's share of every step: item n holds a batch for each pass of step n.

    Args:
        batches: The sequence of batches.
        passes: Passes per step.
        rank: This process, 0…ranks−1.
        ranks: Number of processes.
    """

    def __init__(self, batches: TrainingBatches, passes: int, rank: int, ranks: int) -> None:
        self.batches, self.passes, self.rank, self.ranks = batches, passes, rank, ranks

    def __getitem__(self, step: int) -> StepBatches:
        """The batches of a step; :class:`InputError` if no heart can be read."""
        # A step has ranks × passes batches. Only their product decides which hearts it sees.
        first = (step * self.ranks + self.rank) * self.passes
        drawn = [
            self.batches.batch_with_substitutes(number)
            for number in range(first, first + self.passes)
        ]
        lost = {heart.name: heart for _, of_batch in drawn for heart in of_batch}
        return StepBatches([batch for batch, _ in drawn], tuple(lost.values()))
