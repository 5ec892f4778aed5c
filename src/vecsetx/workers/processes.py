"""Worker processes on this machine."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import ParamSpec, TypeVar

from vecsetx.machine import cores
from vecsetx.progress import hearing_stages
from vecsetx.workers.base import ONE_THREAD, NoWorkersError, Workers, do_pickled

__all__ = ["Processes"]

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

# Not forked: forking a program with threads can deadlock the child.
_SPAWN = multiprocessing.get_context("spawn")
_STARTS = 3
"""Attempts to start a process: one may be killed before it is ready."""
_LAST_WORDS_S = 2.0
"""Time for a dying process to end, so that its exit status is known."""
_STAGE, _ANSWER = b"stage ", b"answer "
"""Beginnings of the messages that a process sends."""


class Processes(Workers):
    """A pool of threads, each of which passes its tasks to a process with one thread.

    If a process is killed, only the future of its own task raises ``BrokenExecutor``, whose message
    says how the process ended, and a new process takes its place. (A ``ProcessPoolExecutor`` would
    break as a whole and not say which task was lost.) The processes end with this one, however it
    ends.

    Args:
        count: Largest number of processes; they start when they are needed. None: one per core that
            this program may use.
    """

    def __init__(self, count: int | None = None) -> None:
        self._threads = ThreadPoolExecutor(count or cores())
        self._idle: list[_Process] = []
        self._started: set[_Process] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def submit(
        self,
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Run a call in a process. The function, its arguments and its result must be picklable."""
        return self.submit_heard(_unheard, work, *args, **kwargs)

    def submit_heard(
        self,
        heard: Callable[[str], None],
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Run a call in a process, and tell its stages; see :meth:`Workers.submit_heard`."""
        return self._threads.submit(self._do, partial(work, *args, **kwargs), heard)

    def killed(self, error: BaseException) -> bool:
        """Return whether a future's exception means that its process was killed."""
        return isinstance(error, BrokenExecutor)

    def look(self) -> None:
        """Do nothing: processes are started whenever they are needed."""

    def let_go(self) -> None:
        """End the processes that are idle."""
        while self._idle:
            self._end(self._idle.pop())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more tasks; end the processes once they have finished the submitted ones."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self.let_go()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an exception, do not wait for running tasks. `_stopped` prevents further starts.
        if kind is not None:
            with self._lock:
                self._stopped = True
                for process in self._started:
                    process.kill()
        self.shutdown(cancel_futures=kind is not None)

    def _do(self, call: Callable[[], Result], heard: Callable[[str], None]) -> Result:
        """Run a call in an idle process, or in a new one. Runs in a thread of the pool."""
        try:  # not "if": another thread could take the last one in between
            process = self._idle.pop()
        except IndexError:
            heard("starting a process")
            process = self._start()
        try:
            answer = process.do(call, heard)
        except _DiedError:
            raise BrokenExecutor(self._end(process, _LAST_WORDS_S)) from None
        except BaseException:  # raised by the call: the process is well
            self._idle.append(process)
            raise
        self._idle.append(process)
        return answer

    def _start(self) -> "_Process":
        how = ""
        for _ in range(_STARTS):
            with self._lock:
                if self._stopped:
                    raise BrokenExecutor("the work was stopped")
                try:
                    process = _Process()
                except (OSError, RuntimeError) as error:
                    raise NoWorkersError(f"no worker process can be started: {error}") from error
                self._started.add(process)
            try:
                process.wait_until_ready()
            except _DiedError:
                how = self._end(process, _LAST_WORDS_S)
            else:
                return process
        raise NoWorkersError(
            f"worker processes end as they start ({how}): either memory has run out, or a script "
            'that uses VecSetX lacks the guard if __name__ == "__main__":'
        )

    def _end(self, process: "_Process", grace_s: float = 0.0) -> str:
        # Under the lock, like starting: when Python starts a process, it polls all the others.
        with self._lock:
            self._started.discard(process)
            return process.end(grace_s)


class _DiedError(Exception):
    """The process at the other end of the pipe has died."""


class _Process:
    """A worker process and the pipe to it."""

    def __init__(self) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        # A new process inherits this one's environment, which is changed only for the start.
        before = dict(os.environ)
        try:
            os.environ.update(ONE_THREAD)  # before the process imports the main program
            self._process.start()
        except BaseException:
            self._pipe.close()
            raise
        finally:
            for name in ONE_THREAD:
                os.environ.pop(name)
            os.environ.update(before)
            theirs.close()  # only the process holds it now, so that its death closes the pipe

    def wait_until_ready(self) -> None:
        """Wait until the process accepts calls."""
        self._answer(_unheard)

    def do(self, call: Callable[[], Result], heard: Callable[[str], None]) -> Result:
        """Run a call in the process; return its result or raise its exception.

        Args:
            call: The call.
            heard: Gets the call's stages.
        """
        task = pickle.dumps(call)
        try:
            self._pipe.send_bytes(task)
        except OSError as error:
            raise _DiedError from error
        result, raised = pickle.loads(self._answer(heard))
        if raised is not None:
            raise raised
        return result

    def kill(self) -> None:
        """Kill the process, whatever it is doing."""
        self._process.kill()

    def end(self, grace_s: float) -> str:
        """Free the resources of an idle or dead process.

        Args:
            grace_s: Time for the process to end by itself, so that its exit status is known; its
                end of the pipe may close a little earlier.

        Returns:
            How it ended, in words.
        """
        self._process.join(grace_s)  # first let it end by itself: killing would set the exit code
        self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        self._pipe.close()
        return f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit status {code}"

    def _answer(self, heard: Callable[[str], None]) -> bytes:
        while True:
            try:
                message = self._pipe.recv_bytes()
            except (EOFError, OSError) as error:
                raise _DiedError from error
            if not message.startswith(_STAGE):
                return message.removeprefix(_ANSWER)
            heard(message.removeprefix(_STAGE).decode())


def _unheard(stage: str) -> None:
    """Nobody listens."""


def _serve(pipe: Connection) -> None:
    """Run the calls that come through the pipe until it closes. Runs in a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send_bytes(_ANSWER)
    while True:
        try:
            task = pipe.recv_bytes()
        except EOFError:
            return
        try:  # pickling, too, may fail
            with hearing_stages(
                lambda text: pipe.send_bytes(_STAGE + text.encode(errors="replace"))
            ):
                answer = pickle.dumps((do_pickled(task), None))
        except Exception as error:
            answer = pickle.dumps((None, error))
        pipe.send_bytes(_ANSWER + answer)


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, even if the parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    # `_exit` ends the process at once, even if its main thread is deep in a library.
    wait([parent.sentinel])
    os._exit(1)
