"""Checkpoints: everything that an interrupted run needs to continue exactly."""

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import TypeAdapter
from torch import Tensor

from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.schemas import check_schema, schema_of
from vecsetx.special_files import check_no_device

__all__ = ["Progress", "Stateful", "load_checkpoint", "save_checkpoint"]

_SCHEMA = 1
"""Version of checkpoints; other versions are rejected."""


@runtime_checkable
class Stateful(Protocol):
    """A model, an optimizer, a gradient scaler: something whose state can be saved."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as plain data and tensors."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Restore a state."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Steps done.
        seconds: Seconds of training.
        sums: Sums of the loss terms since the last journal entry, float64.
        count: Number of steps in these sums.
        best: The highest grid Dice of a validation so far; None before the first.
    """

    step: int
    seconds: float
    sums: dict[str, float]
    count: int
    best: float | None = None


def save_checkpoint(
    path: Path, parts: Mapping[str, Stateful], progress: Progress, run: str
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: The file; an older one stays until the new one is complete.
        parts: What to save, by name.
        progress: How far the run is.
        run: What tells the run from others.

    Raises:
        OSError: It cannot be written, or the disk has too little room for it.
    """
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    _check_room(path, state)
    with written_whole(path) as unfinished, open(unfinished, "wb") as file:
        try:
            content = {"parts": state, "progress": asdict(progress), "run": run}
            torch.save({"schema": _SCHEMA, **content}, file)
        except RuntimeError as error:
            # After a failed write PyTorch still closes the archive, which fails in turn: the cause
            # is the context.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path, parts: Mapping[str, Stateful], run: str) -> Progress:
    """Restore parts in place, and return how far the run was.

    Args:
        path: The file.
        parts: What to restore, by name.
        run: What tells the run from others.

    Raises:
        InputError: The file is missing, damaged, of another schema, or belongs to another run.
    """
    if not path.exists():
        raise InputError(f"{path}: no checkpoint to resume from; train without --resume")
    state = _state(path)
    check_schema(path, schema_of(state), _SCHEMA, "train into another --out")
    try:
        if state.get("run", run) != run:  # checkpoints of earlier versions do not say
            raise ValueError("it is that of a run with another recipe or other data")
        if state["parts"].keys() != parts.keys():
            raise ValueError(f"holds {', '.join(state['parts'])}, this run {', '.join(parts)}")
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        return TypeAdapter(Progress).validate_python(state["progress"])
    except (RuntimeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: does not fit this run ({error}); resume with the recipe and version it was "
            "begun with, or train into another --out"
        ) from error


def _check_room(path: Path, state: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The old checkpoint stays until the new one is complete: both must fit.
    needed, free = _size(state), shutil.disk_usage(path.parent).free
    if needed > free:
        text = f"{os.strerror(errno.ENOSPC)}: {needed / 1e6:.0f} MB needed, {free / 1e6:.0f} free"
        raise OSError(errno.ENOSPC, text, str(path))


def _size(state: Any) -> int:
    """Bytes of all tensors in nested plain data."""
    if isinstance(state, Tensor):
        return state.numel() * state.itemsize
    if isinstance(state, Mapping):
        return sum(_size(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(_size(value) for value in state)
    return 0


def _state(path: Path) -> Any:
    check_no_device(path)
    try:
        # weights_only: a checkpoint from elsewhere cannot run code.
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # for damaged files, PyTorch passes on any error of its unpickler
        raise InputError(
            f"{path}: damaged, so the run cannot be resumed ({error}); train into another --out"
        ) from error
