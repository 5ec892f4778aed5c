"""Doing one thing to many hearts: in parallel, and no bad heart stops the others."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

from vecsetx.errors import InputError
from vecsetx.pipeline.progress import steps

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Made]):
    """What became of each heart: its result, or the reason why there is none."""

    made: dict[str, Made]
    failed: dict[str, str]


def for_each_heart(
    title: str,
    work: Callable[[Given], Made],
    hearts: Mapping[str, Given],
    executor: Executor,
) -> Outcome[Made]:
    """Do ``work`` for every heart in an executor, with a progress display.

    Whatever a heart raises is kept as its failure, and the other hearts go on.
    """
    made: dict[str, Made] = {}
    failed: dict[str, str] = {}
    try:
        with steps(title, len(hearts)) as progress:
            pending = {executor.submit(work, given): name for name, given in hearts.items()}
            for future in as_completed(pending):
                name = pending[future]
                error = future.exception()
                if error is None:
                    made[name] = future.result()
                elif isinstance(error, InputError):
                    failed[name] = str(error)
                else:
                    failed[name] = f"{name}: {type(error).__name__}: {error}"
                progress.advance(note=name)
    except BrokenExecutor as error:
        raise InputError(
            f"{title}: a worker process died ({error}); run again with fewer --workers if memory "
            "ran out"
        ) from error
    except KeyboardInterrupt:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    return Outcome(dict(sorted(made.items())), dict(sorted(failed.items())))


def processes(workers: int | None, hearts: int) -> ProcessPoolExecutor:
    """An executor of ``workers`` processes (None: one per core) of one thread each.

    No more processes are started than there are hearts.
    """
    return ProcessPoolExecutor(
        min(workers or os.cpu_count() or 1, hearts),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_one_thread,
    )


def _one_thread() -> None:
    """Runs in a worker before it imports any library that counts cores."""
    os.environ.update(OMP_NUM_THREADS="1", IGL_NUM_THREADS="1")
