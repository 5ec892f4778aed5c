"""What a shell offers for the value of an option: names that VecSetX knows. Files are the shell's.

Each function takes the beginning of a value, and returns the values that begin so. None of them
loads PyTorch, for which a shell would have to wait.
"""

from vecsetx.anatomy.label_sets import label_set_names
from vecsetx.anatomy.structures import structure_names

__all__ = ["PRESET_NAMES", "label_sets", "lengths", "presets", "structures"]

PRESET_NAMES = (
    *("tiny", "small", "base", "large"),
    *("tiny-partial", "small-partial", "base-partial", "large-partial", "general"),
)
"""The names of :data:`vecsetx.presets.PRESETS`."""


def label_sets(incomplete: str) -> list[str]:
    """Return the label sets."""
    return [name for name in label_set_names() if name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Return the presets."""
    return [name for name in PRESET_NAMES if name.startswith(incomplete)]


def structures(incomplete: str) -> list[str]:
    """Return the structures, also as the next one of several with commas between them."""
    before, comma, begun = incomplete.rpartition(",")
    given = before.split(",")
    return [
        f"{before}{comma}{name}"
        for name in structure_names()
        if name.startswith(begun) and name not in given
    ]


def lengths(incomplete: str) -> list[str]:
    """Return the structures with the sign for a number behind them: ``LV=``."""
    if "=" in incomplete.rpartition(",")[2]:
        return []
    return [f"{begun}=" for begun in structures(incomplete)]
