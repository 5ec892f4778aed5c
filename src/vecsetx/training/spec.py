"""Length of a training run, and everything else of the loop that a recipe can set."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from vecsetx.ranges import Count, Decay, Every, Hearts, Seed, Workers

__all__ = ["TrainingSpec"]

_Model = Annotated[str, Field(min_length=1)]  # an empty text would be the current folder


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """Options of the training loop.

    Attributes:
        steps: Number of steps.
        epochs: Instead of ``steps``: passes over all hearts. Where label sets take turns
            (``batch.balance``), this is an average, because hearts of smaller sets come more often.
        seed: Seed of the initial weights, the batches and everything else.
        log_every: Steps between journal entries; None for about 50 entries in a run, at most
            50 steps apart.
        validate_every: Steps between validations; 0 for none.
        validate_epochs: Instead of ``validate_every``: epochs between validations.
        validate_hearts: Hearts whose voxel grids a validation scores. Half of them, rounded up, are
            the same every time and decide which checkpoint is best; the others take turns.
        checkpoint_every: Steps between checkpoints; the last step always writes one.
        max_lost_hearts: Number of hearts whose files may become missing or damaged during a run.
            Others take their place; with more the run ends.
        precision: ``bf16`` and ``fp16`` run matrix products in half precision; ``auto`` takes
            bfloat16 where the hardware has instructions for it, and fp32 elsewhere. With both
            halves, anchored attention computes in float16 on NVIDIA's GPUs, and in fp32 elsewhere.
        passes: Gradient accumulation: passes per step, each with ``batch.hearts`` hearts, which
            give a larger batch in the memory of a smaller one.
        average: Decay per step of an exponential moving average of the weights, which is then
            validated and saved as the model; 0 for none.
        data_workers: Processes per rank that prepare batches ahead; 0 prepares them between steps.
        deterministic: Use only operations with reproducible results, so that a seed gives the same
            losses every time on one GPU, too. There, the backward pass of attention then is slower.
        recompute: Keep only the tokens between the model's blocks for the backward pass and
            recompute the rest (checkpointing): less memory, a third more time.
        compile: Compile the model's blocks (``torch.compile``), which needs a C++ compiler. Worth
            it on a GPU for thousands of steps.
        start: Run or saved model from whose weights training starts, or None
            (:mod:`vecsetx.training.start`); ``vecsetx train --from`` sets it.
        teacher: Run or saved model that supplies distances to structures that a heart's data set
            does not annotate (:class:`vecsetx.training.teacher.Teacher`), or None. They count in
            full, whatever ``objective.inferred`` is. ``vecsetx plan`` does not count the teacher's
            memory.
        gradient_norms_every: Steps between measurements of each term's own gradient; 0 for none.
    """

    steps: Count = 1200
    epochs: Count | None = None
    seed: Seed = 0
    log_every: Count | None = None
    validate_every: Every = 0
    validate_epochs: Count | None = None
    validate_hearts: Count = 4
    checkpoint_every: Count = 250
    max_lost_hearts: Every = 3
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    passes: Hearts = 1
    average: Decay = 0.0
    data_workers: Workers = 0
    deterministic: bool = False
    recompute: bool = False
    compile: bool = False
    start: _Model | None = None
    teacher: _Model | None = None
    gradient_norms_every: Every = 0

    @property
    def log_interval(self) -> int:
        """Steps between journal entries: ``log_every``, or what the number of steps gives."""
        return self.log_every or max(1, min(50, self.steps // 48))

    def in_steps(self, hearts: int, per_step: int) -> "TrainingSpec":
        """The same options with epochs converted to steps, rounded up.

        Args:
            hearts: Number of training hearts.
            per_step: Hearts per step.
        """

        def steps(epochs: int) -> int:
            return -(-epochs * hearts // per_step)

        return replace(
            self,
            steps=steps(self.epochs) if self.epochs else self.steps,
            validate_every=(
                steps(self.validate_epochs) if self.validate_epochs else self.validate_every
            ),
            epochs=None,
            validate_epochs=None,
        )
