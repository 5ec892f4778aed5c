"""A limit on the time of a computation, which PyTorch itself does not offer."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Deadline", "DeadlineError"]


class DeadlineError(RuntimeError):
    """A computation took longer than it may."""


class Deadline(TorchDispatchMode):
    """Ends the PyTorch computation of a ``with`` block that takes too long.

    It is noticed before each operation, of backward passes, too, so that a single operation may run
    beyond it.

    Args:
        seconds: The time from now on.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # PyTorch's
        self._end = time.monotonic() + seconds

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation.

        Raises:
            DeadlineError: The time is over.
        """
        if time.monotonic() > self._end:
            raise DeadlineError("the computation took longer than it may")
        return func(*args, **(kwargs or {}))
