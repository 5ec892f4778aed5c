"""How long a run trains, and how."""

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How long and how.

    Attributes:
        steps: Steps in all.
        epochs: Instead of ``steps``: how often every heart is seen; on average, where label sets
            take turns (``batch.balance``), since hearts of the smaller ones then are seen more.
        seed: Seed of weights, draws and everything else.
        log_every: Steps between journal entries.
        validate_every: Steps between validations; 0 for none.
        validate_epochs: Instead of ``validate_every``: epochs between validations.
        validate_hearts: Hearts whose voxel grids a validation scores. Half of them, rounded up, are
            the same every time, and the best is chosen by them; the others take turns.
        checkpoint_every: Steps between checkpoints; there is one at the end in any case.
        max_lost_hearts: How many hearts' files may turn out missing or damaged under way, each
            replaced by the next one, before the run ends.
        precision: ``bf16`` and ``fp16`` run matrix products in half precision; ``auto`` takes
            bfloat16 where the hardware has instructions for it.
        passes: Passes per step, each with ``batch.hearts`` hearts: a larger batch in the
            memory of a smaller one.
        average: Decay per step of a moving average of the weights, which is then what is validated
            and kept as the model; 0 for none.
        data_workers: Processes per rank that draw batches ahead; 0 draws in between.
        deterministic: Refuse operations whose result is not the same every time (on GPUs).
        recompute: Keep only the tokens between the model's blocks for the backward pass, and
            compute the rest anew: less memory, a third more time.
        compile: Have PyTorch compile the model's blocks (``torch.compile``), which needs a C++
            compiler. Worth it on a GPU from thousands of steps on.
        teacher: Run or saved model that says where structures are with which hearts are not
            annotated (:class:`vecsetx.training.teacher.Teacher`); None for nobody. Its answers
            count in full, whatever ``objective.inferred`` says. ``vecsetx plan`` does not count its
            memory.
        gradient_norms_every: Steps between measurements of each term's own gradient; 0 for none.
    """

    steps: PositiveInt = 1200
    epochs: PositiveInt | None = None
    seed: NonNegativeInt = 0
    log_every: PositiveInt = 25
    validate_every: NonNegativeInt = 0
    validate_epochs: PositiveInt | None = None
    validate_hearts: PositiveInt = 4
    checkpoint_every: PositiveInt = 250
    max_lost_hearts: NonNegativeInt = 3
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    passes: PositiveInt = 1
    average: NonNegativeFloat = 0.0
    data_workers: NonNegativeInt = 0
    deterministic: bool = False
    recompute: bool = False
    compile: bool = False
    teacher: str | None = None
    gradient_norms_every: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.average >= 1:
            raise InputError(f"training.average {self.average}: a decay is below 1, as in 0.999")

    def in_steps(self, hearts: int, per_step: int) -> "TrainingSpec":
        """The same with every number of epochs as steps, rounded up.

        Args:
            hearts: Hearts to learn from.
            per_step: Hearts that a step sees.
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
