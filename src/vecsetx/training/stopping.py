"""Signals that stop a run: Ctrl-C in a terminal, or a cluster's time limit."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "leave_signals_to_parent", "noticing_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether this process has received a signal to stop.

    Attributes:
        signal: The last such signal; None if there was none.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def noticing_signals(
    noticed: Callable[[signal.Signals], None] = lambda _: None,
) -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a stop request while the block runs.

    A second Ctrl-C ends the process as usual. Clusters repeat the other two signals, which must not
    interrupt the checkpoint that the first one caused. Only the main thread may use this.

    Args:
        noticed: Called with the first signal, in the midst of whatever the main thread is doing.
    """
    request = StopRequest()

    def notice(number: int, _: FrameType | None) -> None:
        if request.signal is None:
            noticed(signal.Signals(number))
        request.signal = signal.Signals(number)
        if request.signal == signal.SIGINT:
            signal.signal(number, before[request.signal])  # the next Ctrl-C ends the process

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, notice)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_parent(_: int) -> None:
    """Let a data worker ignore signals that a terminal or cluster sends to all processes of a run.

    Its parent still needs it for the current step and ends it afterwards.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
