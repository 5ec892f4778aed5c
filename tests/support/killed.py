"""Training runs that kill themselves, as a machine that fails would, at a chosen moment."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vecsetx.commands import calibrate as calibrating
from vecsetx.commands.train import train_model
from vecsetx.data.dataset import HeartEntry
from vecsetx.evaluation import hidden_structures
from vecsetx.evaluation.calibration import VertexErrors
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

    def dying(path: Path, parts: Any, progress: Any, run: str) -> None:
        if path.name == "checkpoint.pt" and progress.step == 6:
            die()
        save(path, parts, progress, run)

    loop.save_checkpoint = dying


def calibrate_until_killed(model: Path, data: Path, measured: int) -> None:
    """Calibrate with made-up errors, and die within a heart once the given number are measured."""
    names: list[str] = []

    def dying(heart: HeartEntry, *_: Any) -> dict[str, VertexErrors]:
        names.append(heart.name)
        if len(names) > measured:
            die()
        return made_up_errors(heart)

    hidden_structures._errors_of = dying
    hidden_structures._errors_beyond = lambda heart, *_: made_up_errors(heart)["LA"]
    calibrating.calibrate(model, data, "train", few=True)


def made_up_errors(heart: HeartEntry, *_: Any) -> dict[str, VertexErrors]:
    """Errors of two structures, which differ from heart to heart in every digit."""
    generator = np.random.default_rng([*heart.name.encode()])
    return {
        name: VertexErrors(generator.exponential(1, 500), generator.uniform(0.5, 2, 500))
        for name in ("LA", "LV")
    }
