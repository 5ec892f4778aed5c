"""Remarks on what hearts' files leave open or contradict, as commands print them."""

import re
from collections.abc import Mapping, Sequence

from vecsetx.terminal.progress_bars import warn

__all__ = ["print_remarks"]

_FIGURE = re.compile(r"(?<!\w)\d+(\.\d+)?(e[+-]?\d+)?")


def print_remarks(remarks: Mapping[str, Sequence[str]]) -> None:
    """Print each remark as one line, and the hearts that it was made on.

    Remarks that differ only in their figures share a line, which shows those of the first heart.

    Args:
        remarks: Heart → remarks on it, as sentences.
    """
    alike: dict[str, dict[str, list[str]]] = {}  # wording → heart → remarks
    for heart, sentences in remarks.items():
        for sentence in sentences:
            hearts = alike.setdefault(_FIGURE.sub("#", sentence), {})
            hearts.setdefault(heart, []).append(sentence)
    for hearts in alike.values():
        first, sentences = next(iter(hearts.items()))
        if len(hearts) == 1:
            for sentence in sentences:
                warn(f"{first}: {sentence}")
            continue
        same = all(others == sentences for others in hearts.values())
        whose = "" if same else f" (in {first})"
        warn(f"{len(hearts)} hearts ({first}, …): {sentences[0]}{whose}")
