"""The ranges of all numbers that a person types: options of commands, and of recipes.

Beyond a range's upper end no value was ever useful, and a mistyped or hostile one would take all
memory, or no end of time.
"""

import math
from typing import Annotated

from pydantic import Field

from vecsetx.limits import MOST_VARIANTS

__all__ = [
    "Angle",
    "Count",
    "Decay",
    "Distance",
    "Every",
    "Factor",
    "Hearts",
    "Millimetres",
    "Number",
    "Points",
    "Range",
    "Rate",
    "Seed",
    "Share",
    "Weight",
    "Workers",
]


class Range:
    """A closed range of numbers.

    Args:
        lowest: Its lower end.
        highest: Its upper end; infinity if there is none, and infinity is valid, too.
        whole: Whether only whole numbers are in it.
    """

    def __init__(self, lowest: int | float, highest: int | float, whole: bool = True) -> None:
        self.lowest, self.highest, self.whole = lowest, highest, whole

    def parse(self, text: str) -> int | float:
        """Return the number that a text stands for; an int if the range is of whole numbers.

        Raises:
            ValueError: It is no number, or not in the range. The message says what is.
        """
        try:
            value: int | float = int(text) if self.whole else float(text)
        except ValueError:
            value = math.nan
        if not self.lowest <= value <= self.highest:
            raise ValueError(f"must be {self}")
        return value

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.highest == math.inf:
            return f"{kind} of at least {_plain(self.lowest)}, or inf"
        return f"{kind} from {_plain(self.lowest)} to {_plain(self.highest)}"


def _plain(number: int | float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


class Number:
    """The ranges of the commands' options."""

    SEED = Range(0, 2**63 - 1)  # what torch and numpy take
    WORKERS = Range(1, 1024)
    FOLD, FOLDS = Range(0, 999), Range(2, 1000)
    SHARE = Range(0, 1, whole=False)
    POINTS, LATENTS = Range(1, 10**7), Range(1, 2**17)
    REACH_MM = Range(0.1, math.inf, whole=False)
    MM_PER_UNIT = Range(1, 1000, whole=False)
    PICTURES = Range(0, 100_000)
    MEMBERS, ENSEMBLE = Range(2, 1000), Range(0, 1000)
    TOLERANCE_MM = Range(0.001, 100, whole=False)
    GPU_GB = Range(0.1, 100_000, whole=False)
    VARIANTS = Range(1, MOST_VARIANTS)
    PHANTOMS, PHANTOM_SIZE = Range(1, 100_000), Range(8, 1024)
    HEARTS = Range(1, 100_000)
    FRAMES = Range(2, 100)
    VOXEL_MM = Range(0.02, 20, whole=False)  # from micro-CT to short-axis stacks
    SCALE = Range(0.2, 3, whole=False)
    EDGE_MM = Range(0.1, 20, whole=False)
    THROUGH_MM = Range(0, 10, whole=False)
    VALVE_MM = Range(0, 20, whole=False)
    RESOLUTION, FACES = Range(8, 4096), Range(4, 10**9)
    REFINE, RECYCLE = Range(0, 100_000), Range(0, 100)
    STEP = Range(1, 10**9)
    VOXELS = Range(1, 4096**3)


# Types of a recipe's options
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Hearts = Annotated[int, Field(ge=1, le=2**16)]
Points = Annotated[int, Field(ge=1, le=2**22)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Workers = Annotated[int, Field(ge=0, le=1024)]
Every = Annotated[int, Field(ge=0, le=10**9)]
"""A number of steps or hearts; 0 for never or none."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=1e-4, le=10, allow_inf_nan=False)]
"""In units of the model's space."""
Millimetres = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Angle = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]
"""In degrees."""
