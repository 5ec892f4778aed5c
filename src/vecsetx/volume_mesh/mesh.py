"""A tetrahedral mesh of several regions that share their interfaces."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt

__all__ = ["TetrahedralMesh", "regions_around"]


@dataclass(slots=True)
class TetrahedralMesh:
    """Tetrahedra, each of one region; where two regions touch, they share facets.

    Attributes:
        points_mm: Vertices, RAS+ mm.
        tetrahedra: Their corners, of positive volume.
        region: Region of each, 1…K.
        around: Regions around each vertex as bits; bit 0 is the background.
    """

    points_mm: Float[np.ndarray, "v 3"]
    tetrahedra: Int[np.ndarray, "t 4"]
    region: UInt[np.ndarray, " t"]
    around: UInt[np.ndarray, " v"]

    def of_region(self, region: int) -> Int[np.ndarray, "t 4"]:
        """Return the tetrahedra of a region, 1…K."""
        return self.tetrahedra[self.region == region]

    def on_interfaces(self) -> Int[np.ndarray, " n"]:
        """Return the vertices with several regions around them."""
        return np.flatnonzero(np.bitwise_count(self.around) > 1)


def regions_around(
    tetrahedra: Int[np.ndarray, "t 4"], region: UInt[np.ndarray, " t"], vertices: int
) -> UInt[np.ndarray, " v"]:
    """Return the regions of the tetrahedra around each vertex, as bits."""
    around = np.zeros(vertices, dtype=np.uint32)
    for label in np.unique(region):
        around[tetrahedra[region == label]] |= np.uint32(1) << np.uint32(label)
    return around
