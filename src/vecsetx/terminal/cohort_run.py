"""Run work on every heart of a cohort: skip what is done, show progress, go on after failures."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

from vecsetx.progress import NoProgress
from vecsetx.terminal.progress_bars import console, steps
from vecsetx.terminal.table import counted
from vecsetx.workers.base import Workers
from vecsetx.workers.for_each import Outcome, for_each_heart
from vecsetx.workers.heart_work import HeartWork, Records, do_heart, done_earlier

__all__ = ["run_cohort"]

Heart = TypeVar("Heart")
Result = TypeVar("Result")


def run_cohort(
    title: str,
    work: HeartWork[Heart, Result],
    hearts: Mapping[str, Heart],
    records: Records,
    workers: Workers | None,
    keep: Callable[[str, Result], Result] | None = None,
    quiet: bool = False,
) -> Outcome[Result]:
    """Do work on every heart for which no earlier run has done it; say how many are skipped.

    Args:
        title: What is done, such as ``reconstructing hearts``.
        work: The work.
        hearts: Heart → what the work takes.
        records: What earlier runs have done.
        workers: The workers; None: this process does the work.
        keep: Gets each heart's name and result as soon as it is known, skipped ones first; what it
            returns is kept in the result's place.
        quiet: Whether nothing is said of skipped hearts, since other work on them said it.

    Returns:
        The results of all hearts, skipped ones included, and the reasons of those that failed.

    Raises:
        NoWorkersError: No worker is left. What is done until then is kept.
    """
    try:
        return _run(title, work, hearts, records, workers, keep, quiet)
    finally:
        records.tidy()


def _run(
    title: str,
    work: HeartWork[Heart, Result],
    hearts: Mapping[str, Heart],
    records: Records,
    workers: Workers | None,
    keep: Callable[[str, Result], Result] | None,
    quiet: bool,
) -> Outcome[Result]:
    named = {name: (name, heart) for name, heart in hearts.items()}
    # 1. What is done already. A heart that cannot be read now is reported below.
    maybe = {name: given for name, given in named.items() if records.are_there(work, name)}
    done: dict[str, Result] = {}
    if maybe:
        look = partial(done_earlier, work=work, records=records)
        looking = steps("looking for finished hearts", len(maybe), "hearts")
        with nullcontext(NoProgress()) if quiet else looking as progress:
            found = for_each_heart(look, maybe, workers, progress)
        done = {name: earlier[0] for name, earlier in found.results.items() if earlier}
    if done and not quiet:
        of = f"{len(done)} of {counted(len(hearts), 'heart')}" if len(hearts) > 1 else "the heart"
        are = "are" if len(done) > 1 else "is"
        console.notice(
            f"{of} {are} done already, from the same input with the same options; skipped"
        )
    if keep:
        done = {name: keep(name, result) for name, result in done.items()}
    # 2. The rest.
    rest = {name: given for name, given in named.items() if name not in done}
    if not rest:
        return Outcome(done, {})
    do = partial(do_heart, work=work, records=records)
    with steps(title, len(hearts), "hearts") as progress:
        if done:
            progress.reach(len(done))
        outcome = for_each_heart(do, rest, workers, progress, keep)
    return Outcome(dict(sorted({**done, **outcome.results}.items())), outcome.failed)
