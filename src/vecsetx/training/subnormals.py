"""Numbers too small for the usual form of a float, which processors compute with very slowly."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["subnormals_as_zero"]


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Compute as if numbers under 1.2e-38 in size were zero, on processors that can.

    Anchored attention weights keys by exp(−α|x|²), which is subnormal for those far away. A sum
    with the weight 1 of the nearest key never notices them, but a backward pass on a CPU takes ten
    times as long. Holds for this thread and those that start within, such as PyTorch's first use of
    its own; GPUs need none of it.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
