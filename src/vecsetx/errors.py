"""Exceptions that the command line reports as one plain line."""

__all__ = ["DamagedError", "DivergedError", "InputError", "StoppedError", "too_large"]


class InputError(ValueError):
    """The user's input cannot be used.

    The message names the file (or option), the value found and the remedy. The command line prints
    it as one line and exits with status 2; in Python it is an ordinary ``ValueError``.
    """


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
