"""The exceptions that users see as a plain line."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file (or option), the value found and the remedy. The command line prints
    it as one line and exits with status 2; from Python it is an ordinary ``ValueError``.
    """


class DivergedError(RuntimeError):
    """Training cannot go on: the loss or its gradient is no longer a number."""


class StoppedError(RuntimeError):
    """Training was asked to stop, saved what it had, and can go on from there.

    Attributes:
        by_hand: Whether a person stopped it, who does not want it started again.
    """

    def __init__(self, message: str, by_hand: bool) -> None:
        super().__init__(message)
        self.by_hand = by_hand
