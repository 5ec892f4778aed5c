"""What a mesh will cost, before it is made."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.volume_mesh.heart_mesh import reach_mm
from vecsetx.volume_mesh.lattice import GROWTH, LEVELS
from vecsetx.volume_mesh.meshing import LONGEST, Regions
from vecsetx.volume_mesh.parts import Parts

__all__ = ["Cost", "expected_cost", "expected_tetrahedra"]

_BYTES_PER_TETRAHEDRON = 850
"""Largest memory while a mesh is made, per expected tetrahedron: 740 of 6.3 million of a whole
heart, 825 of 5.7 million of a myocardium."""

_SECONDS_PER_TETRAHEDRON = 430 / 6.3e6
"""Time until a mesh is written: 425 s of 6.3 million expected with fibres, on two cores."""

_SAMPLES = 50_000
_PER_LATTICE = 2.0
"""Tetrahedra of a mesh per tetrahedron that the density promises, as measured on whole hearts with
edges of 1.1 and 3 mm: bisecting leaves them smaller than allowed, and interfaces cut them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a mesh will cost.

    Attributes:
        tetrahedra: Expected number of tetrahedra.
    """

    tetrahedra: float

    @property
    def bytes(self) -> float:
        """Largest memory while the mesh is made."""
        return self.tetrahedra * _BYTES_PER_TETRAHEDRON

    @property
    def minutes(self) -> float:
        """Time that it takes on two cores."""
        return self.tetrahedra * _SECONDS_PER_TETRAHEDRON / 60

    def __str__(self) -> str:
        """Return the cost in words."""
        minutes = "less than a minute" if self.minutes < 1 else f"{self.minutes:.0f} min"
        return (
            f"about {self.tetrahedra / 1e6:.2g} million tetrahedra, {self.bytes / 1e9:.2g} GB, "
            f"{minutes}"
        )


def expected_cost(parts: Parts, edges_mm: Mapping[str, float]) -> Cost:
    """Estimate what the mesh of a heart will cost.

    Args:
        parts: What is meshed.
        edges_mm: Region → mean length of edges at its interfaces. Those of structures that turn out
            to be too thin are halved, which costs more.
    """
    edges = np.array([edges_mm[name] for name in parts.names])
    return Cost(expected_tetrahedra(parts.regions(reach_mm(edges)), edges))


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
