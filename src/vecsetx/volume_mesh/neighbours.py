"""What lies beyond the outer surface of a mesh: structures that are not meshed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vecsetx.volume_mesh.interfaces import Interface, name_of
from vecsetx.volume_mesh.parts import Parts

__all__ = ["with_neighbours"]

_BEYOND_MM = 0.5
"""How far outside of a facet a structure has to lie to be its neighbour."""


def with_neighbours(
    interfaces: Sequence[Interface], points_mm: Float[np.ndarray, "v 3"], parts: Parts
) -> list[Interface]:
    """Part the outer surface by the structures beyond it, and name its parts after them.

    So the mitral valve has its name even if the left atrium is not meshed.

    Args:
        interfaces: The interfaces of a mesh.
        points_mm: Its vertices, RAS+ mm.
        parts: What it is a mesh of.
    """
    found = []
    for interface in interfaces:
        if interface.sides[1] or interface.is_cut:
            found.append(interface)
            continue
        a, b, c = np.moveaxis(points_mm[interface.facets], 1, 0)
        normals = np.cross(b - a, c - a)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        outside_mm = (a + b + c) / 3 + _BEYOND_MM * normals / np.maximum(lengths, 1e-12)
        beyond = np.array(parts.beyond(outside_mm, 2 * _BEYOND_MM))
        for name in sorted(set(beyond.tolist())):
            called = name_of(interface.sides, parts.names, name) if name else interface.name
            own = interface.facets[beyond == name]
            found.append(replace(interface, name=called, facets=own, beyond=name))
    return found
