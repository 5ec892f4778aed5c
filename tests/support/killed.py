"""Training runs that kill themselves, as a machine that fails would, at a chosen moment."""

import os
import signal
from pathlib import Path
from typing import Any

import torch

from vecsetx.commands.train import train_model
from vecsetx.recipe import Recipe
from vecsetx.training import checkpoint, loop

MOMENTS = ("between steps", "within a save", "after the best was saved")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(data: Path, out: Path, recipe: Recipe, resume: bool, moment: str) -> None:
    """Train, and die at one of the ``MOMENTS``; for a process of its own."""
    {
        "between steps": _between_steps,
        "within a save": _within_a_save,
        "after the best was saved": _after_the_best_was_saved,
    }[moment]()
    train_model(data, out, recipe, resume)


def _between_steps() -> None:
    """After step 3, before step 4."""
    step = loop.Training._step

    def dying(self: Any, at: int, drawn: Any) -> Any:
        if at == 3:
            die()
        return step(self, at, drawn)

    loop.Training._step = dying  # type: ignore[method-assign]


def _within_a_save() -> None:
    """Of the checkpoint after step 4, half of which is on the disk."""
    save = torch.save

    def dying(state: Any, file: Any) -> None:
        save(state, file)
        if state["progress"]["step"] == 4:
            file.flush()
            os.truncate(file.name, os.path.getsize(file.name) // 2)
            die()

    checkpoint.torch.save = dying  # type: ignore[attr-defined]


def _after_the_best_was_saved() -> None:
    """At step 6, whose checkpoint is not begun."""
    save = loop.save_checkpoint

    def dying(path: Path, parts: Any, progress: Any) -> None:
        if path.name == "checkpoint.pt" and progress.step == 6:
            die()
        save(path, parts, progress)

    loop.save_checkpoint = dying
