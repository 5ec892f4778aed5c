"""One number of a heart, or why there is none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Measured", "Measures", "unknown"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A number, whose unit is in its name, or why there is none.

    Attributes:
        value: The number; NaN if there is none.
        reason: Why there is none, as a phrase; empty if there is one.
    """

    value: float
    reason: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return not math.isnan(self.value)


Measures = Mapping[str, Measured]
"""Name with its unit, such as ``LV_volume_ml`` → number."""


def unknown(names: tuple[str, ...], reason: str) -> dict[str, Measured]:
    """Return numbers that are all unknown for one reason."""
    return {name: Measured(math.nan, reason) for name in names}
