"""How long edges are to be, per structure, as given on the command line."""

from collections.abc import Mapping, Sequence

from vecsetx.anatomy.structures import parse_names
from vecsetx.errors import InputError
from vecsetx.ranges import Number

__all__ = ["EDGE_MM", "parse_edges"]

EDGE_MM = 1.1
"""Usual mean length of edges at walls, which mechanics takes; electrophysiology takes about 0.4."""


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
    found: dict[str, float] = {}
    usual = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, length = part.rpartition("=")
        try:
            edge_mm = Number.EDGE_MM.parse(length.strip())
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
    usual = EDGE_MM if usual is None else usual
    return {name: found.get(name, usual) for name in among}
