"""How long edges are to be, and how thick walls, per structure, as given on the command line."""

from collections.abc import Mapping, Sequence

from vecsetx.anatomy.structures import parse_names
from vecsetx.errors import InputError
from vecsetx.ranges import Number

__all__ = ["EDGE_MM", "edges_within_mm", "named_edges", "parse_edges", "parse_walls"]

EDGE_MM = 1.1
"""Usual mean length of edges at interfaces, as mechanics takes; electrophysiology takes 0.4."""

_EDGE_SHARE = 0.75
"""With longer edges, what lies on both sides of a thin layer touches: at points from 0.85 of its
thickness, and through holes from 1.0."""

_WALLS = ("Myocardium", "RVWall", "LAWall")
"""Structures that are walls."""


def edges_within_mm(thickness_mm: float) -> float:
    """Return the longest edges that a layer of a given thickness may have."""
    return _EDGE_SHARE * thickness_mm


def parse_edges(text: str, among: Sequence[str], option: str = "--edge-mm") -> Mapping[str, float]:
    """Return the edges of each structure.

    Args:
        text: A length in mm for all, lengths of structures, or both: ``1.1``,
            ``Myocardium=0.6,Aorta=1.5`` or ``1.5,Myocardium=0.6``. Others have 1.1 mm.
        among: The structures to choose from.
        option: The option that it is given by, for the message.

    Raises:
        InputError: A length is none, out of range, or given twice; or a structure is unknown.
    """
    usual, found = _parse(text, among, option)
    return {name: found.get(name, EDGE_MM if usual is None else usual) for name in among}


def named_edges(text: str, among: Sequence[str], option: str = "--edge-mm") -> Sequence[str]:
    """Return the structures that are given a length of their own; as :func:`parse_edges` else."""
    return tuple(_parse(text, among, option)[1])


def parse_walls(text: str, among: Sequence[str], option: str = "--wall") -> Mapping[str, float]:
    """Return the thickness of walls, mm: structure → thickness.

    Args:
        text: Such as ``RV=3.5,LA=2``; may be empty.
        among: The structures to choose from.
        option: The option that it is given by, for the message.

    Raises:
        InputError: A thickness is none, out of range, or given twice; or a structure is unknown, or
            a wall itself.
    """
    usual, found = _parse(text, among, option)
    if usual is not None:
        raise InputError(f"{option} {text}: say whose wall is that thick, such as RV={usual:g}")
    for name in found:
        if name in _WALLS:
            raise InputError(f"{option} {text}: {name} is a wall itself")
    return found


def _parse(text: str, among: Sequence[str], option: str) -> tuple[float | None, dict[str, float]]:
    """Return the length without a name, if there is one, and the length of each name."""
    found: dict[str, float] = {}
    usual = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, length = part.rpartition("=")
        try:
            edge_mm = float(Number.EDGE_MM.parse(length.strip()))
        except ValueError as error:
            raise InputError(f"{option} {text}: {length.strip() or part}: {error}") from None
        if not separator:
            if usual is not None:
                raise InputError(f"{option} {text}: give one length for all structures")
            usual = edge_mm
            continue
        names = parse_names(name, among, option)
        if not names or names[0] in found:
            raise InputError(f"{option} {text}: give each structure once, such as LV=1.1")
        found[names[0]] = edge_mm
    return usual, found
