"""How library code reports progress, without knowing how or whether it is displayed."""

from typing import Protocol, runtime_checkable


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


class NoProgress:
    """A :class:`Progress` that displays nothing."""

    def advance(self, note: str = "") -> None:
        """Do nothing."""

    def reach(self, done: int, note: str = "") -> None:
        """Do nothing."""
