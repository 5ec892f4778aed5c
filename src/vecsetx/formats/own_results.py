"""Folders that ``vecsetx reconstruct`` wrote: what of their meshes is guessed."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vecsetx.anatomy.structures import structure_names
from vecsetx.errors import InputError
from vecsetx.plain_data import PlainDataError, read_json

__all__ = ["OBSERVED_SHARE", "Guessed", "guessed_in"]

_SUMMARY = "summary.json"

OBSERVED_SHARE = 0.9
"""Of a structure with a smaller share of observed surface, a good part is inferred. The scan's edge
cuts the great vessels of most hearts, and what is missing there is less."""


class Guessed(NamedTuple):
    """Structures that a model has inferred.

    Attributes:
        whole: Names of those that were not observed at all, sorted.
        partly: Remark on those of which a good part was not observed; empty if there are none.
    """

    whole: tuple[str, ...] = ()
    partly: str = ""


def guessed_in(folder: Path) -> Guessed:
    """Read which structures a folder's ``summary.json`` calls inferred.

    Args:
        folder: Any folder; another program's ``summary.json`` says nothing.

    Raises:
        InputError: The folder is of a reconstruction that was stopped, or its summary is damaged.
    """
    try:
        content = read_json(folder / _SUMMARY)
    except (OSError, InputError):
        return Guessed()
    except PlainDataError as error:
        raise InputError(
            f"{folder / _SUMMARY}: cannot be read ({error}), so it cannot tell which structures "
            "were inferred; run vecsetx reconstruct again, or move it away if all were observed"
        ) from error
    if not isinstance(content, Mapping):
        return Guessed()
    if content.get("unfinished") is True:
        raise InputError(
            f"{folder}: a reconstruction that was stopped; run vecsetx reconstruct again"
        )
    structures = content.get("structures")
    found = {
        str(name): one
        for name, one in (structures.items() if isinstance(structures, Mapping) else ())
        if isinstance(one, Mapping) and name in structure_names()
    }
    partly = {
        name: share
        for name, one in found.items()
        if one.get("observed") is True
        and isinstance(share := one.get("observed_share"), float)
        and 0 <= share < OBSERVED_SHARE
    }
    listed = ", ".join(f"{name} ({1 - share:.0%})" for name, share in partly.items())
    return Guessed(
        tuple(sorted(name for name, one in found.items() if one.get("observed") is False)),
        f"inferred in part by vecsetx reconstruct: {listed}" if partly else "",
    )
