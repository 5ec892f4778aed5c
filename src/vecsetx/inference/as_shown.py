"""No further than shown: where a scan shows no more of a structure, none is drawn.

How far a vessel is labelled differs between data sets. A model that has learned from hearts with a
long aorta continues a short one, also to places that the scan shows and where nobody labelled any.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from pykdtree.kdtree import KDTree

from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import edge_distances_mm

__all__ = ["TOLERANCE_MM", "AsShown"]

TOLERANCE_MM = 6.0
"""How far outside a shown structure it may be drawn: thick slices hide as much."""


@dataclass(frozen=True)
class AsShown:
    """Keeps the structures that are shown from going on where the scan shows none of them.

    It changes nothing beyond the edge of the scan, in unknown voxels, and of structures of which
    nothing is shown.

    Attributes:
        shown: What the model was shown.
    """

    shown: Geometry

    def __call__(
        self, points_mm: Float[np.ndarray, "n 3"], distances_mm: Float[np.ndarray, "n k"]
    ) -> Float[np.ndarray, "n k"]:
        """Return distances that are positive farther than the tolerance from what is shown.

        Args:
            points_mm: RAS+ mm.
            distances_mm: Signed distances of the model, which are changed in place.
        """
        inside = distances_mm < 0
        rows = np.flatnonzero(inside.any(axis=1))
        if not self.shown.complete:
            rows = rows[edge_distances_mm(points_mm[rows], self.shown.label_map) > 0]
        label = self.shown.label_map.at(points_mm[rows])
        for k, tree in self._trees.items():
            own = rows[inside[rows, k] & (label != k + 1)]
            if len(own):
                away_mm, _ = tree.query(np.ascontiguousarray(points_mm[own], dtype=np.float64))
                distances_mm[own, k] = np.maximum(distances_mm[own, k], away_mm - TOLERANCE_MM)
        return distances_mm

    @cached_property
    def _trees(self) -> dict[int, KDTree]:
        """Vertices of the surface of each structure that is shown."""
        return {
            k: KDTree(np.ascontiguousarray(vertices, dtype=np.float64))
            for k, (vertices, faces) in enumerate(self.shown.closed)
            if len(faces)
        }
