"""What of a heart is meshed: structures, and walls around them that segmentations do not draw."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import EDGE_VOXELS, edge_distances_mm
from vecsetx.reconstruction.distance_field import exclusive_distances
from vecsetx.volume_mesh.meshing import Regions
from vecsetx.volume_mesh.sampled_field import Field

__all__ = ["Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a heart that are meshed, each a region.

    Attributes:
        geometry: The K structures of the heart, each of which is present.
        structures: Their names.
        chosen: The structures that are meshed.
        walls_mm: Chosen structure → thickness of the wall around it. A wall lies outside of all
            structures of the heart, so that it is open where its structure meets another one; and
            it ends where the scan ends.
    """

    geometry: Geometry
    structures: tuple[str, ...]
    chosen: tuple[str, ...]
    walls_mm: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all regions: the structures', then those of walls, such as ``RVWall``."""
        return (*self.chosen, *(f"{name}Wall" for name in self.walls_mm))

    def distances(self, reach_mm: float = np.inf) -> Field:
        """Return signed distances to the regions, at most ``reach_mm``."""
        geometry = self.geometry
        chosen = [self.structures.index(name) for name in self.chosen]

        walled = [self.structures.index(name) for name in self.walls_mm]
        thick_mm = np.array(list(self.walls_mm.values()), dtype=np.float32)
        # Structures that the scan cuts end close to the outer faces of its voxels.
        margin_mm = (EDGE_VOXELS - 0.5) * float(geometry.label_map.spacing_mm.min())

        def look(points_mm: np.ndarray) -> np.ndarray:
            found = signed_distances_mm(points_mm, geometry.closed, geometry.label_map, reach_mm)
            if not walled:
                return found[:, chosen]
            # Of several walls, a point is in the one that it is deepest in.
            walls = exclusive_distances(found[:, walled] - thick_mm)
            walls = np.maximum(walls, -found.min(axis=1, keepdims=True))
            if (cut := geometry.cut[walled]).any():
                view_mm = edge_distances_mm(points_mm, geometry.label_map) + margin_mm
                walls[:, cut] = np.maximum(walls[:, cut], -view_mm[:, None])
            return np.concatenate([found[:, chosen], walls], axis=1, dtype=np.float32)

        return look

    def regions(self, reach_mm: float) -> Regions:
        """Return the regions, with distances at most ``reach_mm``."""
        indices = [self.structures.index(name) for name in self.chosen]
        vertices = np.concatenate([self.geometry.closed[k][0] for k in indices])
        margin_mm = max(self.walls_mm.values(), default=0.0)
        low_mm, high_mm = vertices.min(axis=0) - margin_mm, vertices.max(axis=0) + margin_mm
        return Regions(self.distances(reach_mm), low_mm, high_mm)

    def of_input(self, numbers: Float[np.ndarray, " k"]) -> Float[np.ndarray, " n"]:
        """Return numbers of all structures as numbers of the regions; NaN for walls."""
        chosen = [self.structures.index(name) for name in self.chosen]
        return np.append(numbers[chosen], np.full(len(self.walls_mm), np.nan))
