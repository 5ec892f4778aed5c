"""How library code reports progress, without knowing how or whether it is displayed.

A :class:`Progress` counts the steps of one piece of work and is passed along. A :func:`stage` says
what is being done within a step; whoever displays it listens with :func:`hearing_stages`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar, runtime_checkable

__all__ = [
    "NoProgress",
    "Progress",
    "counted_parts",
    "duration_text",
    "hearing_stages",
    "stage",
    "staged",
]

Given = ParamSpec("Given")
Made = TypeVar("Made")
Part = TypeVar("Part")

_WORTH_SECONDS, _LEAST_SECONDS = 5.0, 2.0
"""The time left of a stage is said if it is at least so long, and not sooner than after this."""


@runtime_checkable
class Progress(Protocol):
    """Counts the steps of one piece of work."""

    def advance(self, note: str = "") -> None:
        """Count one more step as done.

        Args:
            note: What was done, for instance a heart's name.
        """

    def reach(self, done: int, note: str = "") -> None:
        """Set the number of steps that are done.

        Args:
            done: Steps done so far.
            note: As in :meth:`advance`.
        """

    def begin(self, note: str) -> None:
        """Show what the next step is about, until it is done.

        Args:
            note: For instance a heart's name and stage.
        """


class NoProgress:
    """A :class:`Progress` that displays nothing."""

    def advance(self, note: str = "") -> None:
        """Do nothing."""

    def reach(self, done: int, note: str = "") -> None:
        """Do nothing."""

    def begin(self, note: str) -> None:
        """Do nothing."""


class _Stages:
    """The stages that are going on, the outermost first."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._texts: list[str] = []
        self._changed = changed

    @contextmanager
    def entered(self, name: str) -> Iterator[Callable[[str], None]]:
        place = len(self._texts)
        self._texts.append(name)
        self._tell()

        def at(how_far: str) -> None:
            self._texts[place] = f"{name} {how_far}".strip()
            self._tell()

        try:
            yield at
        finally:
            del self._texts[place:]
            self._tell()

    def _tell(self) -> None:
        # A stage within one of the same name is the same.
        self._changed(", ".join(dict.fromkeys(self._texts)))


_heard: ContextVar[_Stages | None] = ContextVar("_heard", default=None)


@contextmanager
def hearing_stages(changed: Callable[[str], None]) -> Iterator[None]:
    """Listen to the stages of this thread while the block runs.

    Args:
        changed: Gets the stages that are going on as one text, the outermost first, such as
            ``label map, level 5/7 40%``, whenever it changes; empty between stages.
    """
    token = _heard.set(_Stages(changed))
    try:
        yield
    finally:
        _heard.reset(token)


@contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Name what is being done while the block runs, within the stage around it.

    Args:
        name: What is being done, such as ``meshing``; may be empty.

    Yields:
        A function that takes how far it is, such as ``20/100`` or ``40%``.
    """
    stages = _heard.get()
    if stages is None:
        yield _ignore
        return
    with stages.entered(name) as at:
        yield at


def staged(name: str) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Decorate a function all of which is one stage.

    Args:
        name: As in :func:`stage`.
    """

    def decorate(function: Callable[Given, Made]) -> Callable[Given, Made]:
        @wraps(function)
        def in_stage(*args: Given.args, **kwargs: Given.kwargs) -> Made:
            with stage(name):
                return function(*args, **kwargs)

        return in_stage

    return decorate


def counted_parts(parts: Sequence[Part], name: str = "", even: bool = True) -> Iterator[Part]:
    """Iterate over the parts of a piece of work, as a stage that says how far it is.

    Args:
        parts: The parts.
        name: What is being done; the parts are then counted (``refining 20/100, 12 s left``).
            Empty: only their share is reported (``20%, 12 s left``).
        even: Whether one part takes about as long as another. Only then is the time left known.
    """
    count = len(parts)
    if count == 1 and not name:  # its share would always be 0
        yield from parts
        return
    began = time.monotonic()
    with stage(name) as at:
        for done, part in enumerate(parts):
            left = _time_left(time.monotonic() - began, done / count) if even else ""
            at((f"{done}/{count}" if name else f"{100 * done // count}%") + left)
            yield part


def duration_text(seconds: float) -> str:
    """Format a duration: in s below 2 min, in min below 2 h, in h below 2 days, else in days."""
    for limit, size, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def _time_left(took_s: float, share: float) -> str:
    """Return the time left as text, as far as it is worth saying.

    Args:
        took_s: Time that the share took that is done.
        share: The share.
    """
    if took_s < _LEAST_SECONDS or share == 0:
        return ""
    left_s = took_s * (1 - share) / share
    return f", {duration_text(left_s)} left" if left_s >= _WORTH_SECONDS else ""


def _ignore(how_far: str) -> None:
    """Nobody listens."""
