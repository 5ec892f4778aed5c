"""Which points of a reconstruction something observed supports."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pykdtree.kdtree import KDTree

from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.sampling.sampler import Observation

__all__ = ["SUPPORT_MM", "Support"]

SUPPORT_MM = 2.0
"""What is observed supports points up to this distance from its surface."""


@dataclass(frozen=True, slots=True)
class Support:
    """What is observed of a heart; a :data:`~vecsetx.reconstruction.specks.Supports`.

    A point is supported as part of a structure if it lies inside the observed structure, or within
    :data:`SUPPORT_MM` of its observed surface points.

    Attributes:
        shown: The observation: surfaces in space, or labelled surface points.
    """

    shown: Geometry | Observation

    def __call__(
        self, points_mm: Float[np.ndarray, "n 3"], structure: int
    ) -> Bool[np.ndarray, " n"]:
        """Mark the supported points.

        Args:
            points_mm: RAS+ mm.
            structure: Index 0…K-1 of the structure that they are part of.
        """
        shown = self.shown
        inside = np.zeros(len(points_mm), dtype=bool)
        if isinstance(shown, Geometry):
            surface_mm = shown.closed[structure][0]
            inside = shown.label_map.at(points_mm) == structure + 1
        else:
            surface_mm = shown.points_mm[shown.structure == structure]
        if len(surface_mm) == 0:
            return inside
        tree = KDTree(np.ascontiguousarray(surface_mm, dtype=np.float64))
        distances_mm = tree.query(np.ascontiguousarray(points_mm, dtype=np.float64))[0]
        return inside | (distances_mm <= SUPPORT_MM)
