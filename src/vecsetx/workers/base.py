"""The interface of all workers: local processes and Dask."""

import os
import pickle
from abc import abstractmethod
from concurrent.futures import Executor
from typing import Any

from vecsetx.errors import InputError

__all__ = ["ONE_THREAD", "NoWorkersError", "Workers", "do_pickled"]

ONE_THREAD = {"OMP_NUM_THREADS": "1", "IGL_NUM_THREADS": "1"}
"""Environment of a worker: one thread, because there is one worker per core. Libraries read it when
they are imported."""


class NoWorkersError(InputError):
    """No worker is left, so waiting for results is pointless."""


class Workers(Executor):
    """An executor that survives killed workers: only the killed worker's own task is lost.

    Use it as a context manager. If an exception leaves the block, all work stops at once.
    """

    @abstractmethod
    def killed(self, error: BaseException) -> bool:
        """Return whether a future's exception means that its worker was killed."""

    @abstractmethod
    def look(self) -> None:
        """Check that there are still workers; callers do this from time to time.

        Raises:
            NoWorkersError: There are none, or there have been none for too long.
        """

    @abstractmethod
    def let_go(self) -> None:
        """Free the memory of idle workers, so that the next task has as much as possible."""


def do_pickled(call: bytes) -> Any:
    """Run a pickled call with one thread and return its result. Runs in a worker.

    A pickled call is opaque to everything that passes it on. Dask's scheduler, for instance, need
    not import the modules that the call uses.
    """
    os.environ.update(ONE_THREAD)  # before unpickling the first call imports the libraries
    return pickle.loads(call)()
