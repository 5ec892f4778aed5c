"""Runs the command line: ``vecsetx``, ``python -m vecsetx`` and ``torchrun -m vecsetx``."""

import os
import signal

__all__ = ["main"]


def main() -> None:
    """Import the command line, and run it; Ctrl-C stops it in one line in either."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:  # not in the background of a shell, which has Ctrl-C ignored
        signal.signal(signal.SIGINT, _stop)
    from vecsetx.cli import main as run

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _stop(*_: object) -> None:
    """End the process at once: a library that is being imported may swallow an exception."""
    os.write(2, b"vecsetx: stopped before it began; nothing was written\n")
    os._exit(130)


if __name__ == "__main__":
    main()
