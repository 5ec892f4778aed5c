"""Runs the command line: ``vecsetx``, ``python -m vecsetx`` and ``torchrun -m vecsetx``."""

import gc
import os
import signal
import sys

from vecsetx.errors import missing_module

__all__ = ["collect_garbage_rarely", "main"]


def main() -> None:
    """Import the command line, and run it; Ctrl-C stops it in one line in either."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:  # not in the background of a shell, which has Ctrl-C ignored
        signal.signal(signal.SIGINT, _stop)
    _mend_surroundings()
    collect_garbage_rarely()
    try:
        from vecsetx.cli import main as run
    except ModuleNotFoundError as error:
        if not (message := missing_module(error)):
            raise
        os.write(2, f"vecsetx: {message}\n".encode())
        sys.exit(2)
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def collect_garbage_rarely() -> None:
    """Look for garbage after 50,000 new objects, not after 700.

    What is imported stays. Looking through it for garbage again and again takes a fifth of the time
    in which PyTorch is imported (``benchmarks/import_times.py``).
    """
    gc.set_threshold(50_000, 10, 10)


def _mend_surroundings() -> None:
    """Mend what libraries do not expect, such as closed streams, or a terminal without columns.

    Ends the program if the current folder was removed.
    """
    # A file that is opened takes the lowest free number: 1 or 2 would receive what is printed.
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for size in ("COLUMNS", "LINES"):
        if os.environ.get(size, "1").strip("0") == "":
            del os.environ[size]
    os.environ["MPLBACKEND"] = "agg"  # figures become files; another name may not exist
    try:
        os.getcwd()
    except FileNotFoundError:
        os.write(2, b"vecsetx: the current folder was removed; change to another one\n")
        os._exit(2)


def _stop(*_: object) -> None:
    """End the process at once: a library that is being imported may swallow an exception."""
    os.write(2, b"vecsetx: stopped before it began; nothing was written\n")
    os._exit(130)


if __name__ == "__main__":
    main()
