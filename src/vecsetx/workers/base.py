"""The interface of all workers: local processes and Dask."""

import os
import pickle
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from vecsetx.errors import InputError

__all__ = ["ONE_THREAD", "NoWorkersError", "Workers", "do_pickled"]

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

ONE_THREAD = {"OMP_NUM_THREADS": "1", "IGL_NUM_THREADS": "1"}
"""Environment of a worker: one thread, because there is one worker per core. Libraries read it when
they are imported."""


class NoWorkersError(InputError):
    """No worker is left, so waiting for results is pointless."""


class Workers(Executor):
    """An executor that survives killed workers: only the killed worker's own task is lost.

    Use it as a context manager. If an exception leaves the block, all work stops at once.
    """

    def submit_heard(
        self,
        heard: Callable[[str], None],
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Run a call as ``submit`` does, and tell its stages, if these workers can.

        Args:
            heard: Gets the stages (:func:`vecsetx.progress.hearing_stages`), in any thread.
            work: The function.
            args: Its arguments.
            kwargs: Its arguments by name.
        """
        return self.submit(work, *args, **kwargs)

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
