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

    The ring of an opening is the closed curve around it, or curves: the edges that only one of its
    facets has. That of a disc is its rim: all facets that lead neither to one nor to the other
    structure that it lies between.

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
            ring = np.unique(_facets(rim))
        else:
            ring = _around([each for each in interfaces if {*each.sides} == sides])
        if len(ring):
            rings[f"{valve.removesuffix('Valve').lower()} ring"] = ring
    return rings


def _around(opening: Sequence[Interface]) -> Int[np.ndarray, " n"]:
    facets = _facets(opening)
    edges = np.sort(
        np.concatenate([facets[:, [0, 1]], facets[:, [1, 2]], facets[:, [2, 0]]]), axis=1
    )
    edges, count = np.unique(edges, axis=0, return_counts=True)
    return np.unique(edges[count == 1])


def _facets(interfaces: Sequence[Interface]) -> Int[np.ndarray, "f 3"]:
    none = np.empty((0, 3), dtype=np.int32)
    return np.concatenate([none, *(interface.facets for interface in interfaces)])
