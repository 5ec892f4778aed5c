"""The processes of a run, one or those that ``torchrun`` starts, and their precision."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from vecsetx.errors import InputError
from vecsetx.launcher import launched
from vecsetx.machine import cpu_features

__all__ = ["Ranks", "autocast", "joined_ranks", "precision_on", "scaler"]

Value = TypeVar("Value")

_TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others; longer than a validation on one heart."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of its run.

    Attributes:
        rank: 0…count−1; rank 0 writes all files.
        count: Number of processes.
        device: This process's device.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum of all ranks' tensors, of one shape. Every rank must call this."""
        if self.count > 1:
            values = values.to(self.device, copy=True)  # all_reduce overwrites its argument
            distributed.all_reduce(values)
        return values

    def gathered(self, value: Value) -> list[Value]:
        """The values of all ranks, in their order. Every rank must call this."""
        values: list[Any] = [value] * self.count
        if self.count > 1:
            distributed.all_gather_object(values, value)
        return values

    def on_first_rank(self, work: Callable[[], Value]) -> Value:
        """Run ``work`` on the first rank; return its result, or raise its error, on all ranks.

        Every rank must call this.
        """
        found: tuple[Value | None, Exception | None] = None, None
        if self.first:
            try:
                found = work(), None
            except Exception as error:
                if self.count == 1:  # keeps the traceback
                    raise
                found = None, error
        # The others wait here in any case: they must receive the error as well.
        value, failed = self.gathered(found)[0]
        if failed is not None:
            raise failed
        return cast(Value, value)


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the run for which ``torchrun`` started this process, or be a run of one process.

    Each rank takes the GPU of its local number; without GPUs, all ranks compute on the CPU.

    Raises:
        InputError: There are more ranks on this machine than GPUs, the environment does not say
            what ``torchrun`` would, or the other ranks cannot be reached.
    """
    gpus, launch = torch.cuda.device_count(), launched()
    if launch is None:
        yield Ranks(0, 1, torch.device("cuda" if gpus else "cpu"))
        return
    local = launch.local
    if gpus and local >= gpus:
        raise InputError(
            f"rank {local} of this machine has no GPU, there are only {gpus}; start one process "
            f"per GPU (torchrun --nproc-per-node={gpus})"
        )
    device = torch.device(f"cuda:{local}" if gpus else "cpu")
    if gpus:
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if gpus else "gloo", timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"rank {launch.rank} of {launch.count} cannot join the run at {address} ({reason}); "
            "start all ranks with torchrun"
        ) from error
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()


def precision_on(device: torch.device, precision: str) -> str:
    """What a precision means on a device: ``fp32``, ``bf16`` or ``fp16``.

    ``auto`` never means fp16: where the hardware has no bfloat16, it is fp32, which needs no scaled
    losses and skips no steps.
    """
    if precision != "auto":
        return precision
    return "bf16" if _has_bf16(device) else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision (``auto``, ``fp32``, ``bf16``, ``fp16``) on a device."""
    precision = precision_on(device, precision)
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=precision != "fp32")


def scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """A scaler of losses, so that gradients do not underflow in float16; otherwise disabled."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def _has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware (PyTorch may emulate it)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return "amx_bf16" in cpu_features()
    return False
