"""Processes that begin with PyTorch and vecsetx imported, for tests that kill, signal or join them.

They are forked from a server that imports both once, which saves seconds in each. The server
touches no GPU, so its children may.
"""

import os
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(["support.forked", "vecsetx.cli", "vecsetx.commands.train"])


def forked(work: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a process that calls a function of a module that can be imported."""
    process = _SERVER.Process(target=work, args=arguments)
    folders = os.pathsep.join(folder for folder in sys.path if folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", folders)  # for the server, which the first process starts
        process.start()
    return process


def run_command(words: list[str], log: Path, environment: dict[str, str] = {}) -> None:
    """Be the command ``vecsetx`` in a session of its own, with its messages in a file."""
    from vecsetx.cli import main

    os.setsid()
    os.environ.update(environment)
    with log.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = ["vecsetx", *words]
    main()
