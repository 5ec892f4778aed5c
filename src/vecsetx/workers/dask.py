"""Dask workers, which run on as many machines as a cluster has."""

import pickle
import socket
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from vecsetx.commands.progress import console
from vecsetx.errors import InputError
from vecsetx.workers.base import NoWorkersError, Workers, do_pickled

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

_CONNECT_S = 10.0
_FETCH_S = 5.0
_WITHOUT_WORKERS_S = 600.0
"""How long a cluster may be without any worker before it is given up."""


class DaskCluster(Workers):
    """The workers of a Dask scheduler that runs already; tasks are the same as for processes.

    A task whose worker is killed is done again by another worker. After as many workers as the
    scheduler allows it (``distributed.scheduler.allowed-failures``) its future raises
    ``KilledWorker``.

    Args:
        address: The scheduler's, as in ``tcp://node17:8786``.

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
        except Exception as error:  # whatever it makes of something that is no Dask scheduler
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
        """Have a call done by a worker; all of it has to be fit for pickling."""
        # Not by the client's own executor, which never tells of a task that is done, lost with its
        # worker before its result was fetched, and then fails.
        self._see_connection()
        ours: Future[Result] = Future()
        ours.set_running_or_notify_cancel()
        self._pending.add(ours)
        ours.add_done_callback(self._pending.discard)
        call = pickle.dumps(partial(work, *args, **kwargs))
        # Not pure: two calls that look the same are two calls.
        theirs = self._client.submit(do_pickled, call, pure=False)
        theirs.add_done_callback(
            partial(_hand_on, ours=ours, connected=self._connected, lost=self._lost())
        )
        return ours

    def killed(self, error: BaseException) -> bool:
        """Whether a future's exception says that its workers were killed."""
        return isinstance(error, self._killed_worker)

    def look(self) -> None:
        """Tell when the cluster has no workers; give it up when that lasts.

        Raises:
            NoWorkersError: There has been no worker for ten minutes, or the scheduler is gone.
        """
        self._see_connection()
        now = time.monotonic()
        try:
            workers = self._client.nthreads()
        except OSError as error:  # lost in this moment
            raise NoWorkersError(self._lost()) from error
        if workers:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            console.print(
                f"[yellow]Dask scheduler {self._address}: no workers; waiting for some, "
                f"{_WITHOUT_WORKERS_S / 60:.0f} min at most[/]"
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
            f"the Dask scheduler {self._address} was lost; start it, and run again: what is done "
            "will be kept"
        )

    def let_go(self) -> None:
        """Nothing to do: Dask's workers belong to Dask."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and leave the cluster; what it is doing then, it does in vain."""
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
    """Runs in a thread of Dask's: what became of its future becomes of ours, whatever it is."""
    while not ours.done():
        try:
            ours.set_result(theirs.result(timeout=_FETCH_S))
        except TimeoutError as error:
            # Either the task's own, or no answer: a connection that was lost meanwhile gives none
            # ever, and waiting for it would keep the program from ending.
            if theirs.status == "error":
                ours.set_exception(error)
            elif not connected():
                ours.set_exception(NoWorkersError(lost))
        except BaseException as error:
            ours.set_exception(NoWorkersError(lost) if theirs.cancelled() else error)


def _see_scheduler(address: str) -> None:
    """See that somebody listens and, as a Dask scheduler does, speaks first.

    Dask's own client waits for ever for a program that listens and says nothing.
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
            "the scheduler prints as it starts, as in tcp://node17:8786"
        ) from error
