"""Checkpoints: everything a run needs to go on as if it had never stopped."""

from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from vecsetx.errors import InputError
from vecsetx.files import written_whole


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: Steps done.
        seconds: Seconds of training.
        sums: Sums of the loss terms since the last journal entry, float64.
        count: Over how many steps.
    """

    step: int
    seconds: float
    sums: dict[str, float]
    count: int


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    progress: Progress,
) -> None:
    """Write a checkpoint, whole or not at all."""
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "progress": asdict(progress),
        "random": torch.get_rng_state(),
    }
    with written_whole(path) as unfinished:
        torch.save(state, unfinished)


def load_checkpoint(
    path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]
) -> Progress:
    """Restore model, optimizers and torch's random state in place; returns how far the run was.

    Raises:
        InputError: The file is missing, damaged, or belongs to another model.
    """
    if not path.exists():
        raise InputError(f"{path}: no checkpoint to resume from; train without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["random"])
        return Progress(**state["progress"])
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: does not fit this run: {error}") from error
    except UnpicklingError as error:
        raise InputError(f"{path}: damaged, so the run cannot be resumed: {error}") from error
