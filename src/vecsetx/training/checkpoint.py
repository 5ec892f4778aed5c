"""Checkpoints: everything a run needs to go on as if it had never stopped."""

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from vecsetx.errors import InputError
from vecsetx.files import written_whole


@runtime_checkable
class Stateful(Protocol):
    """Something whose state can be saved: a model, an optimizer, a scaler."""

    def state_dict(self) -> dict[str, Any]:
        """The state, as plain data and tensors."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take a state over."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: Steps done.
        seconds: Seconds of training.
        sums: Sums of the loss terms since the last journal entry, float64.
        count: Over how many steps.
        best: The best grid Dice of a validation so far; None before the first.
    """

    step: int
    seconds: float
    sums: dict[str, float]
    count: int
    best: float | None = None


def save_checkpoint(path: Path, parts: Mapping[str, Stateful], progress: Progress) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: The file; the one there stays until the new one is complete.
        parts: What is to be saved, by name.
        progress: How far the run is.

    Raises:
        OSError: It cannot be written; the disk is asked for room before.
    """
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    _see_room(path, state)
    with written_whole(path) as unfinished, open(unfinished, "wb") as file:
        try:
            torch.save({"parts": state, "progress": asdict(progress)}, file)
        except RuntimeError as error:
            # After a failed write the archive is ended nevertheless, and that fails in turn.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path, parts: Mapping[str, Stateful]) -> Progress:
    """Restore parts in place; returns how far the run was.

    Raises:
        InputError: The file is missing, damaged, or belongs to another run.
    """
    if not path.exists():
        raise InputError(f"{path}: no checkpoint to resume from; train without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["parts"].keys() != parts.keys():
            raise ValueError(f"holds {', '.join(state['parts'])}, this run {', '.join(parts)}")
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        return Progress(**state["progress"])
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: does not fit this run: {error}") from error
    except UnpicklingError as error:
        raise InputError(f"{path}: damaged, so the run cannot be resumed: {error}") from error


def _see_room(path: Path, state: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = _size(state), shutil.disk_usage(path.parent).free
    if needed > free:
        text = f"{os.strerror(errno.ENOSPC)}: {needed / 1e6:.0f} MB needed, {free / 1e6:.0f} free"
        raise OSError(errno.ENOSPC, text, str(path))


def _size(state: Any) -> int:
    """Bytes of all tensors within plain data."""
    if isinstance(state, Tensor):
        return state.numel() * state.itemsize
    if isinstance(state, Mapping):
        return sum(_size(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(_size(value) for value in state)
    return 0
