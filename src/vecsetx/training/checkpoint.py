"""Checkpoints: everything a run needs to go on as if it had never stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vecsetx.errors import InputError
from vecsetx.files import written_whole


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: steps done and seconds of training."""

    step: int
    seconds: float


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
        "step": progress.step,
        "seconds": progress.seconds,
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
    except (RuntimeError, KeyError, ValueError, EOFError) as error:
        raise InputError(f"{path}: does not fit this run: {error}") from error
    torch.set_rng_state(state["random"])
    return Progress(state["step"], state["seconds"])
