"""Workers that are no processes, for tests of what they do: a process takes seconds to start."""

import pickle
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from vecsetx.workers import for_each
from vecsetx.workers.base import Workers
from vecsetx.workers.dask import DaskCluster


class Here(Workers):
    """Does every call at once, in this process; pickled, as on its way to another."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(partial(work, *args, **kwargs)))())
        except Exception as error:
            future.set_exception(error)
        return future

    def killed(self, error: BaseException) -> bool:
        return False

    def look(self) -> None:
        pass

    def let_go(self) -> None:
        pass


def work_here(monkeypatch: pytest.MonkeyPatch, *commands: Any) -> None:
    """Have modules of commands do what they give to processes in this one; Dask stays Dask."""

    def open_workers(processes: int | None = None, dask: str | None = None) -> Workers:
        workers = for_each.open_workers(processes, dask)
        return workers if isinstance(workers, DaskCluster) else Here()

    for command in commands:
        monkeypatch.setattr(command, "open_workers", open_workers)


def model_work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for commands that use a model; each heart's work loads it again."""
    monkeypatch.setattr(for_each, "open_workers", lambda *_: Here())
    monkeypatch.setattr("vecsetx.cohort.working_model._kept", {})
