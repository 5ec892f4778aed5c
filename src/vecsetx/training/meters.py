"""Measurements of a run between journal entries: loss terms, time, memory."""

import resource
import sys
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch

from vecsetx.training.checkpoint import Progress
from vecsetx.training.journal import Entry
from vecsetx.training.step import StepResult

__all__ = ["GB", "RunMeter", "WaitTimer", "bytes_text", "peak_bytes", "unit_of"]

Item = TypeVar("Item")

GB = 10**9

_UNITS = {"GB": GB, "MB": 10**6, "kB": 1000, "B": 1}


class RunMeter:
    """Mean loss terms since the last journal entry, and the last measured gradient norms.

    Args:
        start: Where the run starts or continues.
        hearts_per_step: Hearts per step.
        device: The device whose memory is reported.
    """

    def __init__(self, start: Progress, hearts_per_step: int, device: torch.device) -> None:
        self.sums, self.count = dict(start.sums), start.count
        self._norms: dict[str, float] | None = None
        self._hearts, self._device = hearts_per_step, device
        self._steps, self._since = 0, time.monotonic()

    def add(self, result: StepResult) -> None:
        """Add a step."""
        self._norms = result.norms or self._norms
        for name, term in result.terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + term
        self.count += 1
        self._steps += 1

    def entry(self, step: int, rate: float, seconds: float, waiting: float) -> Entry:
        """A journal entry of the steps since the last one; the sums restart at zero."""
        terms = {name: total / self.count for name, total in self.sums.items()}
        loss, now = sum(terms.values()), time.monotonic()
        entry = Entry(
            step=step,
            split="train",
            loss=loss,
            terms=terms,
            shares={name: term / loss for name, term in terms.items()},
            gradient_norms=self._norms,
            lr=rate,
            seconds=seconds,
            waiting=waiting,
            hearts_per_second=self._hearts * self._steps / max(now - self._since, 1e-9),
            memory_gb=peak_bytes(self._device) / GB,
        )
        self.sums, self.count, self._norms = {}, 0, None
        self._steps, self._since = 0, now
        return entry


class WaitTimer(Generic[Item]):
    """Iterates over items and measures the time spent waiting for them."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._waited, self._since = 0.0, time.monotonic()

    def __iter__(self) -> Iterator[Item]:
        while True:
            began = time.monotonic()
            try:
                item = next(self._items)
            except StopIteration:
                return
            finally:
                self._waited += time.monotonic() - began
            yield item

    def share(self) -> float:
        """Share of the time since the last call that was spent waiting, 0…1."""
        now = time.monotonic()
        share = self._waited / max(now - self._since, 1e-9)
        self._waited, self._since = 0.0, now
        return share


def unit_of(size: int | float) -> str:
    """Return the unit that shows a number of bytes: the largest of which it has at least one."""
    return next((name for name, unit in _UNITS.items() if size >= unit), "B")


def bytes_text(size: int | float, unit: str = "") -> str:
    """Format a number of bytes: ``62.7 GB`` (10⁹ bytes), ``840 MB``, ``3.20 MB``, ``12 kB``.

    Args:
        size: The number.
        unit: Its unit, as of :func:`unit_of` for another number; empty for its own.
    """
    unit = unit or unit_of(size)
    number = size / _UNITS[unit]
    if 0 < number < 0.005:
        return f"<0.01 {unit}"
    whole = not size or unit in ("kB", "B")
    digits = 0 if whole else 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{digits}f} {unit}"


def peak_bytes(device: torch.device) -> int:
    """Peak bytes: allocated on a GPU since the last call; on a CPU, of the process so far."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
