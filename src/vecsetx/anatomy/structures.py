"""Structures of the heart: their names, aliases and colours.

A *structure* is a named part of the heart. All of them are listed in ``structures.yaml`` beside
this file, and names of organs beside the heart in ``other_organs.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Any

from pydantic import AfterValidator

from vecsetx.errors import InputError
from vecsetx.plain_data import parse_yaml
from vecsetx.suggestions import nearest, one_of, shown, unknown

WHOLE_HEART = "Heart"
"""The structure that includes all others, which take precedence over it."""


@dataclass(frozen=True, slots=True)
class Structure:
    """One part of the heart.

    Attributes:
        name: Short name, used on the command line and in all files.
        title: Full name.
        color: Display colour: red, green and blue in 0…255.
        most_ml: A volume that it reaches in no heart.
        vessel: Whether the structure is a vessel, whose centreline is scored too.
    """

    name: str
    title: str
    color: tuple[int, int, int]
    most_ml: float
    vessel: bool = False


def structure(word: str) -> Structure:
    """Return the structure with the given name, title or alias.

    Raises:
        InputError: No structure has this name; the message suggests the most similar ones.
    """
    name = find_structure(word)
    if name is None:
        raise InputError(_unknown_structure(word))
    return _catalogue()[name]


def _check_known(name: str) -> str:
    if name not in structure_names():
        raise ValueError(_unknown_structure(name))
    return name


StructureName = Annotated[str, AfterValidator(_check_known)]
"""The name of a structure from a file, checked when it is read: it becomes the name of a mesh."""


def find_structure(word: str) -> str | None:
    """Return the name of the structure whose name, title or alias is ``word``, or None.

    Case, spaces and the signs ``-``, ``_`` and ``.`` are ignored.
    """
    return _names_by_word().get(normalized(word))


def normalized(word: str) -> str:
    """Return a word without case, spaces and the signs ``-``, ``_`` and ``.``, for comparisons."""
    return re.sub(r"[-_. ]", "", str(word)).lower()


def is_other_organ(word: str) -> bool:
    """Return whether ``word`` names an organ beside the heart, as TotalSegmentator's classes do.

    Such a file or label may be left out, while an unknown name may be a misspelt structure. Case,
    spaces and the signs ``-``, ``_`` and ``.`` are ignored.
    """
    return normalized(word) in _other_organs()


def structure_names() -> tuple[str, ...]:
    """Return the names of all structures that VecSetX knows."""
    return tuple(_catalogue())


def parse_names(names: str, among: Iterable[str], option: str = "") -> tuple[str, ...]:
    """Parse comma-separated structure names or aliases, as given on the command line.

    Args:
        names: For example ``"laa,pv"``.
        among: The structure names to choose from.
        option: The option that they are given by, for the message.

    Returns:
        The names in the order of ``among``.

    Raises:
        InputError: A name is not in ``among``; the message suggests similar ones.
    """
    among = tuple(among)
    known = {name.lower(): name for name in among}
    chosen = set()
    for word in (part.strip() for part in names.split(",") if part.strip()):
        name = known.get(word.lower()) or find_structure(word)
        if name not in among:
            where = f"{option} {names}: " if option else ""
            if name:
                raise InputError(f"{where}there is no {name} here; choose from {', '.join(among)}")
            raise InputError(f"{where}{unknown('structure', word, among)}")
        chosen.add(name)
    return tuple(name for name in among if name in chosen)


def similar_structures(word: str) -> list[str]:
    """Return at most two structures that ``word`` may name misspelt, the likeliest first."""
    near = nearest(normalized(word), _names_by_word(), most=4, alike=0.6)
    return list(dict.fromkeys(_names_by_word()[entry] for entry in near))[:2]


def _unknown_structure(word: str) -> str:
    """Say that no structure is named so, and which may be meant by any of their names."""
    if names := similar_structures(word):
        titled = [f"{name} ({_catalogue()[name].title})" for name in names]
        return f"unknown structure {shown(word)}; {one_of(titled)}"
    return unknown("structure", word, _catalogue())


def _content(file: str) -> Any:
    return parse_yaml(resources.files("vecsetx.anatomy").joinpath(file).read_text("utf-8"))


@cache
def _other_organs() -> frozenset[str]:
    return frozenset(normalized(word) for word in _content("other_organs.yaml"))


@cache
def _entries() -> dict[str, Any]:
    entries: dict[str, Any] = _content("structures.yaml")
    return entries


@cache
def _catalogue() -> dict[str, Structure]:
    return {
        name: Structure(
            name,
            entry["title"],
            tuple(entry["color"]),
            float(entry["most_ml"]),
            entry.get("vessel", False),
        )
        for name, entry in _entries().items()
    }


@cache
def _names_by_word() -> dict[str, str]:
    """Map every word for a structure, normalized, to the structure's name."""
    return {
        normalized(word): name
        for name, entry in _entries().items()
        for word in (name, entry["title"], *entry.get("aliases", ()))
    }
