"""Words that may be meant by a word that is not known. All messages suggest them alike."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches

__all__ = ["ENDINGS_ALIKE", "did_you_mean", "nearest", "one_of", "shown", "unknown"]

_ALIKE = 0.5
"""How alike a word must be to one that is not known, by difflib's ratio, to be suggested."""

ENDINGS_ALIKE = 0.6
"""The same for endings of files, which are short: ``vtk`` may mean ``vtp``, ``fbx`` not ``obj``."""

_CLOSE = 0.8
"""The same of further words, as a share of that of the first."""

_MOST_CHARACTERS, _MOST_LISTED = 80, 40
"""How much of a word is shown and compared, and how many known words are listed."""


def unknown(what: str, word: object, known: Iterable[str], alike: float = _ALIKE) -> str:
    """Return that a word is not known, and which word may be meant.

    Args:
        what: What the word is to name, such as ``structure``.
        word: The word.
        known: The words that it may be.
        alike: As in :func:`nearest`.
    """
    return f"unknown {what} {shown(word)}; {did_you_mean(str(word), known, alike)}"


def did_you_mean(word: str, known: Iterable[str], alike: float = _ALIKE) -> str:
    """Suggest the known words that are most similar to a word, or list all of them.

    Args:
        word: The word.
        known: The words that it may be.
        alike: As in :func:`nearest`.
    """
    known = tuple(known)
    if near := nearest(word, known, alike=alike):
        return one_of(near)
    more = len(known) - _MOST_LISTED
    others = f" and {more} others" if more > 0 else ""
    return f"choose from {', '.join(known[:_MOST_LISTED])}{others}"


def shown(word: object) -> str:
    """Return a word in quotes, as far as a message shows it: it may come from a file."""
    text = str(word)
    return repr(text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…")


def one_of(meant: Sequence[str]) -> str:
    """Ask whether one of some words is meant."""
    return f"did you mean {' or '.join(meant)}?"


def nearest(word: str, known: Iterable[str], most: int = 2, alike: float = _ALIKE) -> list[str]:
    """Return the known words that are most similar to a word, in any case, the likeliest first.

    Of words that are equally alike, the first ones are returned, in the order of ``known``.

    Args:
        word: The word.
        known: The words that it may be.
        most: Most words that are returned.
        alike: How alike they must be, by difflib's ratio, from 0 to 1.
    """
    spelt: dict[str, list[str]] = {}
    for each in known:
        spelt.setdefault(each.lower(), []).append(each)
    compared = word[:_MOST_CHARACTERS].lower()
    # All that are alike: of those that are equally so, difflib would take the last by the alphabet.
    near = get_close_matches(compared, list(spelt), max(len(spelt), 1), alike)
    ratios = {
        entry: SequenceMatcher(None, entry, compared).ratio() for entry in spelt.keys() & near
    }
    # A word that is much less alike than the first is hardly meant.
    least = _CLOSE * max(ratios.values(), default=0.0)
    close = [entry for entry in spelt if ratios.get(entry, 0.0) > least]
    close.sort(key=ratios.__getitem__, reverse=True)  # keeps the order of equals
    return [each for entry in close for each in spelt[entry]][:most]
