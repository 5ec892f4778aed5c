"""The exceptions that users see as a plain line."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file (or option), the value found and the remedy. The command line prints
    it as one line and exits with status 2; from Python it is an ordinary ``ValueError``.
    """


class DivergedError(RuntimeError):
    """Training cannot go on: the loss or its gradient is no longer a number."""
