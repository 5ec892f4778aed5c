"""Doing one thing to many hearts: in parallel, and no bad heart stops the others."""

import errno
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from vecsetx.commands.progress import steps
from vecsetx.errors import InputError
from vecsetx.workers.base import NoWorkersError, Workers
from vecsetx.workers.dask import DaskCluster
from vecsetx.workers.processes import Processes

Given = TypeVar("Given")
Made = TypeVar("Made")

_LOOK_AFTER_S = 10.0
"""Time without any heart done after which it is asked whether there are any workers."""

_REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EACCES: "see that you may read and write there",
    errno.EPERM: "see that you may read and write there",
    errno.EROFS: "choose a folder that can be written",
}


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Made]):
    """What became of each heart: its result, or the reason why there is none."""

    made: dict[str, Made]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Failed:
    """Stands in place of a heart's result."""

    reason: str


class _Starved(_Failed):
    """The heart had too little memory, or its worker was killed, for which that is the usual cause.

    It may well be done when it has the memory for itself.
    """


def open_workers(processes: int | None = None, dask: str | None = None) -> Workers:
    """Those who do the work, for a ``with`` block.

    Args:
        processes: So many processes of this machine; None: one per core that this program may use.
        dask: Address of a Dask scheduler, whose workers are used instead.

    Raises:
        InputError: Both are asked for, or no process, or no Dask scheduler is at the address.
    """
    if processes is not None and processes < 1:
        raise InputError(f"--workers {processes}: at least 1 is needed")
    if dask is None:
        return Processes(processes)
    if processes is not None:
        raise InputError(f"--workers {processes} with --dask {dask}: choose one of the two")
    return DaskCluster(dask)


def for_each_heart(
    title: str, work: Callable[[Given], Made], hearts: Mapping[str, Given], workers: Workers
) -> Outcome[Made]:
    """Do ``work`` for every heart, with a progress display.

    Whatever a heart raises is kept as its failure, and the other hearts go on. A heart that runs
    out of memory, or whose worker is killed, is tried again after all the others, alone.

    Args:
        title: What is done, in words.
        work: What is done in a worker: it, and what it gets and makes, must be fit for pickling.
        hearts: What ``work`` gets, by the hearts' names.
        workers: Those who do it.

    Raises:
        NoWorkersError: Nobody is left to do it. What the hearts wrote until then stays.
    """
    made: dict[str, Made] = {}
    failed: dict[str, str] = {}
    again = []

    def keep(name: str, result: Made | _Failed) -> None:
        if isinstance(result, _Failed):
            failed[name] = result.reason
        else:
            made[name] = result
        progress.advance(note=name)

    with steps(title, len(hearts), "hearts") as progress:
        for name, result in _results(work, hearts, workers):
            if isinstance(result, _Starved):
                again.append(name)
            else:
                keep(name, result)
        for name in sorted(again):
            workers.let_go()
            for _, result in _results(work, {name: hearts[name]}, workers):
                keep(name, result)
    return Outcome(dict(sorted(made.items())), dict(sorted(failed.items())))


def _results(
    work: Callable[[Given], Made], hearts: Mapping[str, Given], workers: Workers
) -> Iterator[tuple[str, Made | _Failed]]:
    """Have the work done; yields what becomes of each heart as soon as it is known."""
    names: dict[Future[Made | _Failed], str] = {}
    ended: SimpleQueue[Future[Made | _Failed]] = SimpleQueue()
    for name, given in hearts.items():
        future = workers.submit(_attempt, work, name, given)
        names[future] = name
        future.add_done_callback(ended.put)
    while names:
        try:
            future = ended.get(timeout=_LOOK_AFTER_S)
        except Empty:
            workers.look()
            continue
        name = names.pop(future)
        result = _result(name, future, workers)
        del future  # Dask would do a heart again that somebody holds and whose worker is gone
        yield name, result


def _attempt(work: Callable[[Given], Made], name: str, given: Given) -> Made | _Failed:
    """Runs in a worker. Failures leave it as text, which always can be pickled."""
    try:
        return work(given)
    except InputError as error:
        return _Failed(str(error))
    except MemoryError:
        raise  # tried again
    except OSError as error:
        return _Failed(f"{name}: {_in_words(error)}")
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        return _Failed(f"{name}: {type(error).__name__}: {error} ({place})")


def _result(name: str, future: Future[Made | _Failed], workers: Workers) -> Made | _Failed:
    """What became of a heart; the reasons of a starved one are those of its second trial."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, NoWorkersError):
        raise error
    if workers.killed(error):
        return _Starved(
            f"{name}: its worker process was killed twice, the second time with no other heart "
            f"beside it ({error}); memory may have run out: use a machine with more, or leave this "
            "heart out"
        )
    if isinstance(error, MemoryError):
        return _Starved(
            f"{name}: memory ran out twice, the second time with no other heart beside it "
            f"({error}); use a machine with more, or leave this heart out"
        )
    return _Failed(f"{name}: {type(error).__name__}: {error}")


def _in_words(error: OSError) -> str:
    """File, what happened and remedy."""
    where = error.filename2 or error.filename
    words = f"{where}: {error.strerror or error}" if where else str(error.strerror or error)
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{words}; {remedy}, then run again" if remedy else words
