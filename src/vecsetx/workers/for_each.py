"""Apply a function to many hearts in parallel; a bad heart does not stop the others."""

import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from vecsetx.errors import InputError, too_large
from vecsetx.files import in_words
from vecsetx.progress import NoProgress, Progress
from vecsetx.workers.base import NoWorkersError, Workers
from vecsetx.workers.dask import DaskCluster
from vecsetx.workers.processes import Processes

__all__ = ["Outcome", "for_each_heart", "open_workers", "workers_or_here"]

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)

_LOOK_AFTER_S = 10.0
"""If no heart finishes for this long, check that there are still workers."""


_CRASH, _KILL = re.compile(r"signal \d|exit status"), re.compile(r"signal (9|15)\b")
"""How a worker process ended: of any cause, and as the system or a person ends one."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """The outcome for many hearts, both parts sorted by name.

    Attributes:
        results: Heart → result.
        failed: Heart → reason of the failure, in words.
    """

    results: dict[str, Result]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Failed:
    """Takes the place of a heart's result."""

    reason: str


class _Starved(_Failed):
    """Memory ran out, or the worker was killed, for which lack of memory is the usual cause.

    The heart may succeed when no other heart is processed at the same time.
    """


def open_workers(processes: int | None = None, dask: str | None = None) -> Workers:
    """Return the workers to use in a ``with`` block.

    Args:
        processes: Number of processes on this machine; None: one per core that this program may
            use.
        dask: Address of a Dask scheduler, whose workers are used instead.

    Raises:
        InputError: Both are given, the number of processes is below 1, or no Dask scheduler answers
            at the address.
    """
    if processes is not None and processes < 1:
        raise InputError(f"--workers {processes}: at least 1 is needed")
    if dask is None:
        return Processes(processes)
    if processes is not None:
        raise InputError(f"--workers {processes} with --dask {dask}: choose one of the two")
    return DaskCluster(dask)


@contextmanager
def workers_or_here(processes: int | None, dask: str | None) -> Iterator[Workers | None]:
    """Open workers if any were asked for; else yield None, for this process to do the work.

    It suits work whose libraries use all cores for one heart, and a single heart.

    Raises:
        InputError: As :func:`open_workers`.
    """
    if processes is None and dask is None:
        yield None
        return
    with open_workers(processes, dask) as workers:
        yield workers


def for_each_heart(
    work: Callable[[Argument], Result],
    hearts: Mapping[str, Argument],
    workers: Workers | None,
    progress: Progress | None = None,
    keep: Callable[[str, Result], Result] | None = None,
) -> Outcome[Result]:
    """Apply ``work`` to every heart.

    An exception becomes the heart's failure, and the other hearts continue. A heart that runs out
    of memory, or whose worker is killed, is tried once more after all the others, alone.

    Args:
        work: Runs in a worker; the function, its argument and its result must be picklable.
        hearts: Heart → argument of ``work``.
        workers: The workers; None: this process does the work, one heart after another.
        progress: Advances by one for each heart, with its name as note, and shows the stages of
            hearts in work, if the workers tell them; None: nothing is reported.
        keep: Gets each heart's name and result as soon as it is known; what it returns is kept in
            the result's place.

    Raises:
        NoWorkersError: No worker is left. Files that hearts have written until then stay.
    """
    progress = progress or NoProgress()
    results: dict[str, Result] = {}
    failed: dict[str, str] = {}
    starved = []

    def sort(name: str, result: Result | _Failed) -> None:
        if isinstance(result, _Failed):
            failed[name] = result.reason
        else:
            results[name] = keep(name, result) if keep else result
        progress.advance(note=f"{name} failed" if name in failed else name)

    if workers is None:
        for name, heart in hearts.items():
            progress.begin(name)
            sort(name, _attempt_here(work, name, heart))
        return Outcome(dict(sorted(results.items())), dict(sorted(failed.items())))
    # 1. All hearts side by side.
    for name, result in _results(work, hearts, workers, progress):
        if isinstance(result, _Starved):
            starved.append(name)
        else:
            sort(name, result)
    # 2. Starved hearts once more, each with all the memory to itself.
    for name in sorted(starved):
        _log.warning("%s: its worker was killed or out of memory; tried again, alone", name)
        workers.let_go()
        for _, result in _results(work, {name: hearts[name]}, workers, progress):
            sort(name, result)
    return Outcome(dict(sorted(results.items())), dict(sorted(failed.items())))


def _results(
    work: Callable[[Argument], Result],
    hearts: Mapping[str, Argument],
    workers: Workers,
    progress: Progress,
) -> Iterator[tuple[str, Result | _Failed]]:
    """Submit all hearts, and yield each one's result or failure as soon as it is known."""
    # A queue, because `as_completed` leaves no chance to look after the workers in between, and
    # because the threads of workers hear of stages, which this thread shows.
    names: dict[Future[Result | _Failed], str] = {}
    events: SimpleQueue[Future[Result | _Failed] | tuple[str, str]] = SimpleQueue()
    stages: dict[str, str] = {}
    for name, argument in hearts.items():
        heard = partial(_hear, events, name)
        future = workers.submit_heard(heard, _attempt, work, name, argument)
        names[future] = name
        future.add_done_callback(events.put)
    while names:
        try:
            event = events.get(timeout=_LOOK_AFTER_S)
        except Empty:
            workers.look()
            continue
        if isinstance(event, tuple):
            stages[event[0]] = ": ".join(event)
            progress.begin(stages[event[0]])
            continue
        future = event
        name = names.pop(future)
        result = _result(name, future, workers)
        # Dask would repeat a finished heart whose future is held and whose worker died.
        del event, future
        stages.pop(name, None)
        yield name, result
        if stages:  # of the heart that is in work for longest
            progress.begin(next(iter(stages.values())))


def _hear(events: SimpleQueue[Any], name: str, stage: str) -> None:
    if stage:
        events.put((name, stage))


def _attempt(work: Callable[[Argument], Result], name: str, argument: Argument) -> Result | _Failed:
    """Apply ``work`` to one heart. Runs in a worker.

    Exceptions return as text, which can always be pickled; except ``MemoryError``, after which the
    heart is tried once more.
    """
    try:
        return work(argument)
    except InputError as error:
        return _Failed(str(error))
    except MemoryError:
        raise
    except OSError as error:
        return _Failed(f"{name}: {in_words(error)}")
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        return _Failed(f"{name}: {type(error).__name__}: {error} ({place})")


def _attempt_here(
    work: Callable[[Argument], Result], name: str, argument: Argument
) -> Result | _Failed:
    """Apply ``work`` to one heart in this process, with no other heart beside it."""
    try:
        return _attempt(work, name, argument)
    except MemoryError as error:
        return _Failed(f"{name}: {too_large(error)}")


def _result(name: str, future: Future[Result | _Failed], workers: Workers) -> Result | _Failed:
    """Return a heart's result or failure.

    The reason of a starved heart is worded for its second attempt: the first one is not reported.
    """
    # What the work itself raised came back as a result; an exception here concerns the worker.
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, NoWorkersError):
        raise error
    if workers.killed(error):
        how = str(error)
        crashed = _CRASH.search(how) and not _KILL.search(how)
        ended, why = (
            ("ended by itself", "a library fails on its files: check them with vecsetx inspect")
            if crashed
            else ("was killed", "memory may have run out: use a machine with more")
        )
        return _Starved(
            f"{name}: its worker process {ended} twice, the second time with no other heart beside "
            f"it ({how}); {why}, or leave this heart out"
        )
    if isinstance(error, MemoryError):
        return _Starved(f"{name}: {too_large(error)}")
    return _Failed(f"{name}: {type(error).__name__}: {error}")
