"""The order of frames that are files: as people count, ``frame2`` before ``frame10``."""

import os
from collections.abc import Sequence
from pathlib import Path

from vecsetx.names import natural_key

__all__ = ["order_remark", "short_names"]


def order_remark(paths: Sequence[Path]) -> str:
    """Return a remark on files that come in another order than their numbers; else nothing.

    Args:
        paths: The files, in the order of time.
    """
    names, last = short_names(paths), dict[tuple[str, ...], tuple[list[int], int]]()
    for place, path in enumerate(paths):
        key = natural_key(path.as_posix())
        texts, counted = tuple(text for text, _ in key), [number for _, number in key]
        before, one = last.get(texts, (counted, place))
        if before > counted:
            return (
                f"frames are in the order in which the files were given: {names[one]} is frame "
                f"{one + 1}, before {names[place]}, frame {place + 1}, although their numbers say "
                "otherwise; give the folder to have them in the order of their numbers"
            )
        last[texts] = counted, place
    return ""


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the files as seen from the folder that all lie in."""
    folder = os.path.commonpath([path.absolute().parent for path in paths])
    return [path.absolute().relative_to(folder).as_posix() for path in paths]
