"""Waiting for something to happen."""

import time
from collections.abc import Callable

LONGEST_SECONDS = 600
"""How long tests wait for what takes seconds on an idle machine."""


def wait_until(
    happened: Callable[[], object],
    still: Callable[[], object] = lambda: True,
    seconds: float = LONGEST_SECONDS,
) -> bool:
    """Wait until ``happened`` returns something true, as long as ``still`` does.

    Returns:
        Whether it happened in time.
    """
    end = time.monotonic() + seconds
    while still() and time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.02)
    return bool(happened())
