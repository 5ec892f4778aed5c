"""Which points of a reconstruction something observed supports."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pykdtree.kdtree import KDTree

from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.sampling.observation import Observation

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
        limited: Whether structures are drawn no further than shown
            (:mod:`~vecsetx.inference.as_shown`). What is left of one that went on beyond that is a
            piece of its own.
    """

    shown: Geometry | Observation
    limited: bool = False

    def ends(self, structure: int) -> bool:
        """Return whether a structure ends where it is observed.

        Args:
            structure: Its index 0…K-1.
        """
        return self.limited and len(self._surface_mm(structure)) > 0

    def _surface_mm(self, structure: int) -> Float[np.ndarray, "n 3"]:
        if isinstance(self.shown, Geometry):
            return self.shown.closed[structure][0]
        return self.shown.points_mm[self.shown.structure == structure]

    def __call__(
        self, points_mm: Float[np.ndarray, "n 3"], structure: int
    ) -> Bool[np.ndarray, " n"]:
        """Mark the supported points.

        Args:
            points_mm: RAS+ mm.
            structure: Index 0…K-1 of the structure that they are part of.
        """
        inside = np.zeros(len(points_mm), dtype=bool)
        if isinstance(self.shown, Geometry):
            inside = self.shown.label_map.at(points_mm) == structure + 1
        surface_mm = self._surface_mm(structure)
        if len(surface_mm) == 0:
            return inside
        tree = KDTree(np.ascontiguousarray(surface_mm, dtype=np.float64))
        distances_mm = tree.query(np.ascontiguousarray(points_mm, dtype=np.float64))[0]
        return inside | (distances_mm <= SUPPORT_MM)
