"""What ``torchrun`` says, in the environment, to each process that it starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vecsetx.errors import InputError

__all__ = ["Launch", "is_first_rank", "launched"]

_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Launch:
    """A process's place among those of its run.

    Attributes:
        rank: 0…count−1.
        count: Number of processes, on all machines.
        local: The number of this process on its machine, 0…count−1.
    """

    rank: int
    count: int
    local: int


def launched(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Return what a launcher says of this process; None if no launcher started it.

    One process is meant where ``WORLD_SIZE`` is 1 or missing and ``RANK`` is missing.

    Raises:
        InputError: The variables are incomplete, or contradict each other.
    """
    if not environment.get("RANK") and environment.get("WORLD_SIZE", "").strip() in ("", "1"):
        return None
    count = _number(environment, "WORLD_SIZE", 1, 1 << 20)
    rank = _number(environment, "RANK", 0, count - 1)
    # Launchers for one process per machine may leave out the local number.
    local = _number({"LOCAL_RANK": "0", **environment}, "LOCAL_RANK", 0, count - 1)
    _number(environment, "MASTER_PORT", 1, _HIGHEST_PORT)
    if not environment.get("MASTER_ADDR"):
        raise _unusable("MASTER_ADDR is not set")
    return Launch(rank, count, local)


def is_first_rank(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process speaks for its run; others of a run stay silent."""
    return not environment.get("WORLD_SIZE") or environment.get("RANK") in (None, "", "0")


def _number(environment: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        raise _unusable(f"{name} is not set")
    # Of ASCII digits alone: int() also takes underscores and the digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise _unusable(f"{name} is {text[:40]!a}, not a whole number from {least} to {most}")
    return int(text)


def _unusable(what: str) -> InputError:
    return InputError(
        f"the environment names a run of several processes, but {what}; start it with torchrun, or "
        "unset WORLD_SIZE and RANK to train in one process"
    )
