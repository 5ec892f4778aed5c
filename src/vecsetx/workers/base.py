"""What every kind of worker can do, wherever it runs."""

import os
import pickle
from abc import abstractmethod
from concurrent.futures import Executor
from typing import Any

from vecsetx.errors import InputError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "IGL_NUM_THREADS": "1"}
"""Environment of a worker: there is one per core. Libraries read it when they are imported."""


class NoWorkersError(InputError):
    """Nobody is left to do the work, so there is no use in waiting for it."""


class Workers(Executor):
    """An executor one of whose workers may be killed: only that worker's own task is lost.

    Used as a context manager. Left by an exception, the block stops the work at once.
    """

    @abstractmethod
    def killed(self, error: BaseException) -> bool:
        """Whether a future's exception says that its worker was killed."""

    @abstractmethod
    def look(self) -> None:
        """Look from time to time whether there is anybody left.

        Raises:
            NoWorkersError: There is not, or has not been for too long.
        """

    @abstractmethod
    def let_go(self) -> None:
        """Free the memory of workers that are idle, so that the next task has the most of it."""


def do_pickled(call: bytes) -> Any:
    """Runs in a worker: do a pickled call, computing with one thread.

    Pickled, it is a secret to all that pass it on, as Dask's scheduler, which so need not import
    what the call needs.
    """
    os.environ.update(ONE_THREAD)  # before unpickling the first call imports the libraries
    return pickle.loads(call)()
