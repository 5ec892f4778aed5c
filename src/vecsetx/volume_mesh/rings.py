"""Rings of valves: where the rim of a valve lies on other structures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.valves import VALVES

__all__ = ["valve_rings"]


def valve_rings(
    interfaces: Sequence[Interface], names: Sequence[str]
) -> dict[str, Int[np.ndarray, " n"]]:
    """Return the rings of a mesh: such as ``mitral ring`` → vertices, ascending.

    The ring of an opening has the vertices that it shares with any other interface: the curve
    around it. That of a disc has the vertices of its rim: of all its facets that lead neither to
    one nor to the other structure that it lies between.

    Args:
        interfaces: The interfaces of a mesh.
        names: Names of its K regions.
    """
    number = {name: k for k, name in enumerate(names, 1)}
    rings = {}
    for valve, structures in VALVES.items():
        sides = {number.get(name) for name in structures}
        disc = number.get(valve)
        if disc:
            rim = [each for each in interfaces if disc in each.sides and not sides & {*each.sides}]
            ring = _vertices(rim)
        else:
            opening = [each for each in interfaces if {*each.sides} == sides]
            others = [each for each in interfaces if {*each.sides} != sides]
            ring = np.intersect1d(_vertices(opening), _vertices(others))
        if len(ring):
            rings[f"{valve.removesuffix('Valve').lower()} ring"] = ring
    return rings


def _vertices(interfaces: Sequence[Interface]) -> Int[np.ndarray, " n"]:
    facets = [interface.facets.ravel() for interface in interfaces]
    return np.unique(np.concatenate(facets)) if facets else np.empty(0, dtype=np.int64)
