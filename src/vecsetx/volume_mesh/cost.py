"""What a mesh will cost, before it is made."""

import numpy as np
from jaxtyping import Float

from vecsetx.volume_mesh.lattice import GROWTH, LEVELS
from vecsetx.volume_mesh.meshing import LONGEST, Regions

__all__ = ["BYTES_PER_TETRAHEDRON", "expected_tetrahedra"]

BYTES_PER_TETRAHEDRON = 1000
"""Largest memory while a mesh is made, per tetrahedron of the result: 970 of 6.3 million."""

_SAMPLES = 50_000
_PER_LATTICE = 2.0
"""Tetrahedra of a mesh per tetrahedron that the density promises, as measured on whole hearts with
edges of 1.1 and 3 mm: bisecting leaves them smaller than allowed, and interfaces cut them."""


def expected_tetrahedra(regions: Regions, edges_mm: Float[np.ndarray, " k"]) -> float:
    """Estimate the number of tetrahedra.

    At random points, the edges that the lattice may have there give its density: a body-centred
    lattice has 12 tetrahedra per cube of its longest edge.

    Args:
        regions: What is meshed.
        edges_mm: Mean length of edges at the interfaces of each region.
    """
    generator = np.random.default_rng(0)
    points = generator.uniform(regions.low_mm, regions.high_mm, (_SAMPLES, 3))
    distances = regions.field(points)
    longest = edges_mm * LONGEST
    # As for the lattice: edges double at most that often, and stay uniform next to interfaces.
    allowed = (longest + GROWTH * np.maximum(np.abs(distances) - 2 * longest, 0)).min(axis=1)
    allowed = np.minimum(allowed, longest.min() * 2**LEVELS)
    inner = distances.min(axis=1) < 0
    volume_mm3 = float(np.prod(regions.high_mm - regions.low_mm))
    return _PER_LATTICE * volume_mm3 * float((12 * inner / allowed**3).mean())
