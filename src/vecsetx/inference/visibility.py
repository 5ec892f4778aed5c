"""What of a heart is observed, and what has to be inferred.

A place on a structure is observed if the structure is, and the scan shows that place: it lies
within the field of view, or the structure does not reach the scan's edge and so is whole. The rest
is the model's.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.interfaces import SharedSurface
from vecsetx.sampling.view import EDGE_VOXELS, edge_distances_mm, known_mm


@dataclass(frozen=True, slots=True)
class Visibility:
    """What is known of K structures before a model completes them.

    Attributes:
        present: Whether each is observed at all.
        cut: Whether it reaches the edge of the scan and may go on beyond it.
        scan: What has that edge; None for surfaces and points, which have none.
    """

    present: Bool[np.ndarray, " k"]
    cut: Bool[np.ndarray, " k"]
    scan: LabelMap | None = None

    @classmethod
    def of_geometry(cls, geometry: Geometry) -> "Visibility":
        """Of structures in space; those that are not there may be hidden or never annotated.

        A structure of which the scan has nothing but the wall at its edge is not observed.
        """
        present = geometry.present()
        for k in np.flatnonzero(present & geometry.cut).tolist():
            vertices_mm, faces = geometry.closed[k]
            edge_mm = edge_distances_mm(vertices_mm[np.unique(faces)], geometry.label_map)
            present[k] = bool((edge_mm > 0).any())
        scan = None if geometry.complete else geometry.label_map
        return cls(present, geometry.cut & present, scan)

    @classmethod
    def of_points(cls, structure: Int[np.ndarray, " n"], structure_count: int) -> "Visibility":
        """Of labelled surface points: a structure is observed if it has any.

        Args:
            structure: Index 0…K-1 of each point's structure.
            structure_count: K.
        """
        present = np.bincount(structure, minlength=structure_count) > 0
        return cls(present, np.zeros(structure_count, dtype=bool))

    def observed_points(
        self, points_mm: Float[np.ndarray, "n 3"], structure: Int[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Whether each point, as a place on its structure, is observed.

        Args:
            points_mm: RAS+ mm.
            structure: Index 0…K-1 of the structure that each is part of.
        """
        shown: np.ndarray = self.present[structure]
        if self.scan is not None:
            asked = np.flatnonzero(shown & self.cut[structure])
            edge_mm = edge_distances_mm(points_mm[asked], self.scan)
            shown[asked] = known_mm(edge_mm, np.array([True]))[:, 0] > 0
        return shown

    def observed_vertices(
        self, vertices_mm: Float[np.ndarray, "v 3"], structure: int
    ) -> Bool[np.ndarray, " v"]:
        """Whether each vertex of one structure's surface is observed."""
        return self.observed_points(vertices_mm, np.full(len(vertices_mm), structure))

    def observed_interface_vertices(self, interfaces: SharedSurface) -> Bool[np.ndarray, " v"]:
        """Whether each vertex of a shared surface is observed, as part of all that meet there."""
        corners = np.repeat(interfaces.faces.ravel(), 2)
        labels = np.repeat(interfaces.sides, 3, axis=0).ravel()
        meetings = np.unique(np.stack([corners, labels], axis=1)[labels > 0], axis=0)
        shown = self.observed_points(interfaces.vertices_mm[meetings[:, 0]], meetings[:, 1] - 1)
        observed = np.ones(len(interfaces.vertices_mm), dtype=bool)
        observed[meetings[~shown, 0]] = False
        return observed

    def inferred_part(self, label_map: LabelMap) -> LabelMap:
        """The same map with every voxel that is observed as part of its structure made background.

        Args:
            label_map: Labels 1…K on any grid.
        """
        labels = label_map.labels.copy()
        voxels = np.argwhere(labels)
        structure = labels[tuple(voxels.T)].astype(np.int64) - 1
        shown = self.observed_points(label_map.to_mm(voxels.astype(float)), structure)
        labels[tuple(voxels[shown].T)] = 0
        return replace(label_map, labels=labels)

    def nearest_in_view(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
        """The place in the field of view that is nearest to each point.

        Nearest along the scan's axes, which on a sheared grid is not quite the nearest.

        Args:
            points_mm: RAS+ mm.

        Returns:
            The places, a point's own where it lies within; and how far they are, mm: 0 within,
            ``+inf`` if the scan is so thin that its edges leave nothing between them.
        """
        if self.scan is None:
            return points_mm, np.zeros(len(points_mm))
        first = EDGE_VOXELS - 0.5
        last = np.array(self.scan.shape) - 1 - first
        if (last <= first).any():
            return points_mm, np.full(len(points_mm), np.inf)
        indices = self.scan.to_indices(points_mm)
        nearest = indices.clip(first, last)
        within = (nearest == indices).all(axis=1)
        nearest_mm = np.where(within[:, None], points_mm, self.scan.to_mm(nearest))
        return nearest_mm, np.linalg.norm(nearest_mm - points_mm, axis=1)
