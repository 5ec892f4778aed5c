"""Workers of a Dask cluster, which may span many machines."""

import logging
import pickle
import socket
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from vecsetx.errors import InputError
from vecsetx.workers.base import NoWorkersError, Workers, do_pickled

__all__ = ["DaskCluster"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

_CONNECT_S = 10.0
_FETCH_S = 5.0
_WITHOUT_WORKERS_S = 600.0
"""How long a cluster may have no workers before the work is aborted."""


class DaskCluster(Workers):
    """The workers of a running Dask scheduler; they accept the same tasks as local processes.

    If a worker is killed, another one repeats its task. Once a task has lost as many workers as the
    scheduler allows (``distributed.scheduler.allowed-failures``), its future raises
    ``KilledWorker``.

    Args:
        address: The scheduler's address, such as ``tcp://node17:8786``.

    Raises:
        InputError: Dask is not installed, or no scheduler answers at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise InputError("--dask needs Dask: pip install 'vecsetx[dask]'") from error
        self._address = address
        _see_scheduler(address)
        try:
            self._client = Client(address, timeout=_CONNECT_S, set_as_default=False)
        except Exception as error:  # depends on what else listens at the address
            raise InputError(
                f"--dask {address}: no Dask scheduler ({type(error).__name__}: {error})"
            ) from error
        self._killed_worker = KilledWorker
        self._pending: set[Future[Any]] = set()
        self._alone_since: float | None = None

    def submit(
        self,
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Run a call in a worker. The function, its arguments and its result must be picklable."""
        # The client's own executor would not do: if a task finishes, is lost with its worker
        # before the result was fetched, and then fails, its future never ends.
        self._see_connection()
        ours: Future[Result] = Future()
        ours.set_running_or_notify_cancel()
        self._pending.add(ours)
        ours.add_done_callback(self._pending.discard)
        call = pickle.dumps(partial(work, *args, **kwargs))
        # Not pure: two equal calls are two tasks.
        theirs = self._client.submit(do_pickled, call, pure=False)
        theirs.add_done_callback(
            partial(_hand_on, ours=ours, connected=self._connected, lost=self._lost())
        )
        return ours

    def killed(self, error: BaseException) -> bool:
        """Return whether a future's exception means that its workers were killed."""
        return isinstance(error, self._killed_worker)

    def look(self) -> None:
        """Log a warning when the cluster has no workers, and abort if that lasts.

        Raises:
            NoWorkersError: There has been no worker for ten minutes, or the scheduler is gone.
        """
        self._see_connection()
        now = time.monotonic()
        try:
            workers = self._client.nthreads()
        except OSError as error:  # lost just now
            raise NoWorkersError(self._lost()) from error
        if workers:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            _log.warning(
                "Dask scheduler %s: no workers; waiting for some, at most %.0f min",
                self._address,
                _WITHOUT_WORKERS_S / 60,
            )
        elif now - self._alone_since > _WITHOUT_WORKERS_S:
            raise NoWorkersError(
                f"the Dask scheduler {self._address} has had no workers for "
                f"{_WITHOUT_WORKERS_S / 60:.0f} min; start some and run again"
            )

    def _see_connection(self) -> None:
        if not self._connected():
            raise NoWorkersError(self._lost())

    def _connected(self) -> bool:
        return bool(self._client.status == "running")

    def _lost(self) -> str:
        return (
            f"the Dask scheduler {self._address} was lost; restart it and run the command again: "
            "finished hearts are kept"
        )

    def let_go(self) -> None:
        """Do nothing: Dask manages the memory of its workers."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more tasks and disconnect; the results of running tasks are discarded."""
        if wait and not cancel_futures:
            futures.wait(list(self._pending))
        self._client.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown(cancel_futures=kind is not None)


def _hand_on(theirs: Any, ours: Future[Any], connected: Callable[[], bool], lost: str) -> None:
    """Copy the outcome of Dask's future to ours. Runs in one of Dask's threads."""
    while not ours.done():
        try:
            ours.set_result(theirs.result(timeout=_FETCH_S))
        except TimeoutError as error:
            # Either the task itself raised it, or there was no answer in time. A connection that
            # was lost never answers, and waiting for it would keep the program from ending.
            if theirs.status == "error":
                ours.set_exception(error)
            elif not connected():
                ours.set_exception(NoWorkersError(lost))
        except BaseException as error:
            ours.set_exception(NoWorkersError(lost) if theirs.cancelled() else error)


def _see_scheduler(address: str) -> None:
    """Check that a program listens at the address and speaks first, as a Dask scheduler does.

    Dask's own client would wait forever for a program that listens but stays silent.

    Raises:
        InputError: Nothing answers there.
    """
    from distributed.comm.addressing import get_address_host_port

    try:
        host, port = get_address_host_port(address)
        with socket.create_connection((host, port), timeout=_CONNECT_S) as connection:
            if not address.startswith("tls:"):  # where the client speaks first
                connection.recv(1)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"--dask {address}: no Dask scheduler answers there ({error}); give the address that "
            "the scheduler prints when it starts, such as tcp://node17:8786"
        ) from error
