"""What of a heart is meshed: structures, and walls and valves that segmentations do not draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.reconstruction.distance_field import exclusive_distances
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import Regions
from vecsetx.volume_mesh.quality import volumes_mm3
from vecsetx.volume_mesh.sampled_field import Field
from vecsetx.volume_mesh.valves import Disc

__all__ = ["Parts"]

_WALL_END_VOXELS = 0.5
"""Walls end so far inside the scan's outer faces: closer, what they surround is rounded."""


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
        discs: Valves between chosen structures, which lose what they take.
    """

    geometry: Geometry
    structures: tuple[str, ...]
    chosen: tuple[str, ...]
    walls_mm: Mapping[str, float] = field(default_factory=dict)
    discs: Sequence[Disc] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all regions: structures, walls such as ``RVWall``, and valves."""
        walls = (f"{name}Wall" for name in self.walls_mm)
        return (*self.chosen, *walls, *(disc.name for disc in self.discs))

    def cut_names(self) -> list[str]:
        """Return the names of the regions that the scan cuts."""
        cut = [name for name in self.chosen if self.geometry.cut[self.structures.index(name)]]
        return cut + [f"{name}Wall" for name in self.walls_mm if name in cut]

    def distances(self, reach_mm: float = np.inf, band_mm: float | None = None) -> Field:
        """Return signed distances to the regions, which may be truncated at ``reach_mm``.

        ``band_mm`` is that of :func:`~vecsetx.geometry.distance.signed_distances_mm`.
        """
        chosen = [self.structures.index(name) for name in self.chosen]
        # A wall's thickness is taken off, which has to leave something.
        reach_mm = max([reach_mm, *(2 * thick_mm for thick_mm in self.walls_mm.values())])

        def look(points_mm: np.ndarray) -> np.ndarray:
            found = self._to_structures(points_mm, reach_mm, band_mm)
            own, walls = found[:, chosen], self._to_walls(points_mm, found)
            discs = self._to_discs(points_mm, found)
            for disc, of_disc in zip(self.discs, discs.T, strict=True):
                for side in map(self.chosen.index, disc.sides):
                    own[:, side] = np.maximum(own[:, side], -of_disc)
            if len(self.discs):
                discs = exclusive_distances(discs)
            return np.concatenate([own, walls, discs], axis=1, dtype=np.float32)

        return look

    def beyond(self, points_mm: Float[np.ndarray, "n 3"], reach_mm: float) -> list[str]:
        """Return the structure that is not meshed and that each point lies in; empty for none."""
        others = [name for name in self.structures if name not in self.chosen]
        if not others or not len(points_mm):
            return [""] * len(points_mm)
        found = self._to_structures(points_mm, reach_mm)
        found = found[:, [self.structures.index(name) for name in others]]
        nearest = found.argmin(axis=1)
        inside = found[np.arange(len(found)), nearest] < 0
        return [others[k] if own else "" for k, own in zip(nearest.tolist(), inside, strict=True)]

    def regions(self, reach_mm: float) -> Regions:
        """Return the regions, with distances at most ``reach_mm``."""
        indices = [self.structures.index(name) for name in self.chosen]
        vertices = np.concatenate([self.geometry.closed[k][0] for k in indices])
        margin_mm = max(self.walls_mm.values(), default=0.0)
        low_mm, high_mm = vertices.min(axis=0) - margin_mm, vertices.max(axis=0) + margin_mm
        return Regions(
            self.distances(reach_mm), low_mm, high_mm, self.distances(reach_mm, band_mm=0.0)
        )

    def of_input(self, numbers: Float[np.ndarray, " k"]) -> Float[np.ndarray, " n"]:
        """Return numbers of all structures as numbers of the regions; NaN for walls and valves."""
        chosen = [self.structures.index(name) for name in self.chosen]
        return np.append(numbers[chosen], np.full(len(self.names) - len(chosen), np.nan))

    def taken_by_discs_ml(self, mesh: TetrahedralMesh) -> Float[np.ndarray, " n"]:
        """Return the volume of each region in which discs lie, as a mesh of the parts has them."""
        taken = np.zeros(len(self.names))
        first = len(self.names) - len(self.discs)
        for number, disc in enumerate(self.discs, first + 1):
            own = mesh.of_region(number)
            centers_mm = mesh.points_mm[own].mean(axis=1)
            sides = [self.structures.index(side) for side in disc.sides]
            found = self._to_structures(centers_mm, disc.thickness_mm)[:, sides]
            volumes_ml = volumes_mm3(mesh.points_mm, own) / 1000
            of_side = np.bincount(found.argmin(axis=1), volumes_ml, minlength=2)
            for side, volume_ml in zip(disc.sides, of_side, strict=True):
                taken[self.chosen.index(side)] += volume_ml
        return taken

    def _to_structures(
        self, points_mm: np.ndarray, reach_mm: float, band_mm: float | None = None
    ) -> Float[np.ndarray, "n k"]:
        closed, label_map = self.geometry.closed, self.geometry.label_map
        return signed_distances_mm(points_mm, closed, label_map, reach_mm, band_mm)

    def _to_walls(self, points_mm: np.ndarray, found: np.ndarray) -> Float[np.ndarray, "n w"]:
        if not self.walls_mm:
            return np.empty((len(points_mm), 0), dtype=np.float32)
        walled = [self.structures.index(name) for name in self.walls_mm]
        thick_mm = np.array(list(self.walls_mm.values()), dtype=np.float32)
        # Of several walls, a point is in the one that it is deepest in.
        walls = exclusive_distances(found[:, walled] - thick_mm)
        walls = np.maximum(walls, -found.min(axis=1, keepdims=True))
        if (cut := self.geometry.cut[walled]).any():
            view = self.geometry.label_map.field_of_view
            view_mm = view.edge_distances_mm(points_mm, _WALL_END_VOXELS)
            walls[:, cut] = np.maximum(walls[:, cut], -view_mm[:, None])
        return walls

    def _to_discs(self, points_mm: np.ndarray, found: np.ndarray) -> Float[np.ndarray, "n d"]:
        columns = [
            disc.distances(
                points_mm, *(found[:, self.structures.index(side)] for side in disc.sides)
            )
            for disc in self.discs
        ]
        return np.stack(columns, axis=1) if columns else np.empty((len(points_mm), 0), np.float32)
