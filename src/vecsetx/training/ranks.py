"""The processes of one run: one alone, or as many as ``torchrun`` started, each with its device."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from vecsetx.errors import InputError

Value = TypeVar("Value")

_SILENCE = timedelta(minutes=10)
"""How long a rank waits for the others: a validation on one heart takes less."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of its run.

    Attributes:
        rank: 0…count−1; rank 0 writes what is written.
        count: Processes of the run.
        device: This process's.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum of every rank's tensor; all have to ask, with tensors of one shape."""
        if self.count > 1:
            values = values.to(self.device, copy=True)
            distributed.all_reduce(values)
        return values

    def gathered(self, value: Value) -> list[Value]:
        """Every rank's value, in the order of the ranks; all have to ask."""
        values: list[Any] = [value] * self.count
        if self.count > 1:
            distributed.all_gather_object(values, value)
        return values

    def on_first_rank(self, work: Callable[[], Value]) -> Value:
        """What the first rank's ``work`` gives, or raises, on all; all have to ask."""
        found: tuple[Value | None, Exception | None] = None, None
        if self.first:
            try:
                found = work(), None
            except Exception as error:
                if self.count == 1:
                    raise
                found = None, error
        value, failed = self.gathered(found)[0]
        if failed is not None:
            raise failed
        return cast(Value, value)


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the run that ``torchrun`` started this process for, or be a run of one.

    Each rank takes the GPU of its number on its machine; without GPUs, all compute on the CPU.

    Raises:
        InputError: There are more ranks on this machine than GPUs.
    """
    gpus = torch.cuda.device_count()
    if "WORLD_SIZE" not in os.environ:
        yield Ranks(0, 1, torch.device("cuda" if gpus else "cpu"))
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if gpus and local >= gpus:
        raise InputError(
            f"rank {local} of this machine has no GPU, there are {gpus}; start as many processes "
            "as GPUs (torchrun --nproc-per-node)"
        )
    device = torch.device(f"cuda:{local}" if gpus else "cpu")
    if gpus:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if gpus else "gloo", timeout=_SILENCE)
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision (``auto``, ``fp32``, ``bf16``, ``fp16``) on a device."""
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    enabled = precision in ("bf16", "fp16") or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, half, enabled=enabled)


def scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Scales losses, so that gradients do not vanish in float16; does nothing otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return False
