"""Being asked to stop: by a terminal's Ctrl-C, or by a cluster whose time is up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether this process has been asked to stop.

    Attributes:
        signal: By which signal; None as long as it has not.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def noticing_signals() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a request, for as long as the block runs.

    A second Ctrl-C ends the process as it always does. Clusters repeat the other two, and must not
    thereby cut off the save that they asked for. Only the main thread may ask for this.
    """
    request = StopRequest()

    def notice(number: int, _: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        if request.signal == signal.SIGINT:
            signal.signal(number, before[request.signal])

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, notice)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_parent(_: int) -> None:
    """Have a data worker ignore what a terminal or cluster sends to all processes of a run.

    Its parent still needs it for the step under way, and ends it afterwards.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
