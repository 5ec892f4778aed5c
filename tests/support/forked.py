"""Processes that begin with PyTorch and vecsetx imported, for tests that kill, signal or join them.

They are forked from a server that imports both once, which saves seconds in each. The server
touches no GPU, so its children may. Workers that they start are forked from them in turn.
"""

import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver, get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import TCPStore

from support.waiting import LONGEST_SECONDS

_SERVER = get_context("forkserver")
# The first training step of a process imports PyTorch's compiler, which takes two seconds.
_SERVER.set_forkserver_preload(["support.forked", "support.whole_package", "torch._dynamo"])


def server() -> ForkServerContext:
    """Return the way to start processes from the server, which runs from then on."""
    folders = os.pathsep.join(folder for folder in sys.path if folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", folders)
        forkserver.ensure_running()
    return _SERVER


class FromServer:
    """What ``multiprocessing`` offers to start processes, with the server running."""

    Pipe = staticmethod(_SERVER.Pipe)

    @staticmethod
    def Process(**options: Any) -> BaseProcess:
        """Return a process that is not started yet."""
        return server().Process(**options)


def forked(work: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a process that calls a function of a module that can be imported."""
    process = FromServer.Process(target=_with_forked_workers, args=(work, *arguments))
    process.start()
    return process


def _with_forked_workers(work: Callable[..., object], *arguments: Any) -> None:
    from vecsetx.workers import processes

    processes._SPAWN = get_context("fork")  # type: ignore[assignment]
    work(*arguments)


def run_command(words: list[str], log: Path) -> None:
    """Be the command ``vecsetx``, with its messages in a file."""
    from vecsetx.cli import main

    with log.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = ["vecsetx", *words]
    main()


def run_ranks(count: int, work: Callable[..., object], *arguments: Any) -> None:
    """Call a function in as many processes as if ``torchrun`` had started them; all must end well.

    As under ``torchrun``, they meet at a store that their parent keeps.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": str(count),
    }
    ranks = [
        forked(_as_rank, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, work, arguments)
        for rank in range(count)
    ]
    try:
        waiting = {rank.sentinel for rank in ranks}
        while waiting and not any(rank.exitcode for rank in ranks):
            ended = wait(waiting, LONGEST_SECONDS)
            assert ended
            waiting -= {sentinel for sentinel in ended if isinstance(sentinel, int)}
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()
    assert [rank.exitcode for rank in ranks] == [0] * count


def _as_rank(
    environment: dict[str, str], work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environment)
    work(*arguments)
