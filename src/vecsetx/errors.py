"""Exceptions that the command line reports as one plain line."""

__all__ = [
    "DamagedError",
    "DivergedError",
    "InputError",
    "NamesError",
    "StoppedError",
    "missing_module",
    "too_large",
]


_MOST_CHARACTERS = 2000
"""Longest message; what a reader acts on stands at its ends: the file, and the remedy."""


class InputError(ValueError):
    """The user's input cannot be used.

    The message names the file (or option), the value found and the remedy. The command line prints
    it as one line and exits with status 2; in Python it is an ordinary ``ValueError``. Of a value
    as long as a damaged file can hold, the message leaves out the middle.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_without_middle(message))


class NamesError(InputError):
    """Anatomy contradicts what a heart's ids or file names stand for."""


class DamagedError(InputError):
    """A heart's file is damaged; those of other hearts may be whole."""


class DivergedError(RuntimeError):
    """Training cannot continue: the loss or its gradient is no longer finite."""


class StoppedError(RuntimeError):
    """A signal stopped training, which saved a checkpoint and can be resumed.

    Attributes:
        by_hand: Whether a person stopped it (Ctrl-C), so that it should not restart by itself.
    """

    def __init__(self, message: str, by_hand: bool) -> None:
        super().__init__(message)
        self.by_hand = by_hand


def missing_module(error: ModuleNotFoundError) -> str:
    """Return what to say of a package that is not installed; empty for a module of VecSetX.

    Args:
        error: What its import raised.
    """
    module = (error.name or "vecsetx").partition(".")[0]
    if module == "vecsetx":
        return ""
    remedy = "to install what VecSetX needs, type: pip install vecsetx"
    return f"the Python module {module} is missing; {remedy}"


def too_large(error: MemoryError) -> str:
    """Return what to say of a heart for which memory ran out, without its name.

    Args:
        error: What its work raised while no other heart was worked on.
    """
    asked = f" ({error})" if str(error) else ""
    return (
        f"takes more memory than there is{asked}; see its size with vecsetx inspect, and give a "
        "coarser or cropped file, or use a machine with more memory"
    )


def _without_middle(message: str) -> str:
    left_out = len(message) - _MOST_CHARACTERS
    if left_out <= 0:
        return message
    half = _MOST_CHARACTERS // 2
    return f"{message[:half]} … ({left_out:,} characters left out) … {message[-half:]}"
