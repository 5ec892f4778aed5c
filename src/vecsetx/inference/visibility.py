"""Which parts of a heart are observed, and which have to be inferred.

A point on a structure is observed if the structure is observed and either the point lies inside the
field of view or the structure does not reach the scan's edge, and so is whole. The model infers
everything else.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.geometry.view import edge_distances_mm, known_mm


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which parts of K structures are observed.

    Attributes:
        present: Whether each structure is observed at all.
        cut: Whether it reaches the edge of the scan and may continue beyond it.
        scan: Label map with that edge; None for surfaces and points, which have no edge.
    """

    present: Bool[np.ndarray, " k"]
    cut: Bool[np.ndarray, " k"]
    scan: LabelMap | None = None

    @classmethod
    def of_geometry(cls, geometry: Geometry) -> "Visibility":
        """Return the visibility of structures in space; absent ones are hidden or unannotated.

        A structure whose surface is nothing but the wall at the scan's edge is not observed.
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
        """Return the visibility of labelled surface points: structures with points are observed.

        Args:
            structure: Index 0…K-1 of each point's structure.
            structure_count: Number of structures K.
        """
        present = np.bincount(structure, minlength=structure_count) > 0
        return cls(present, np.zeros(structure_count, dtype=bool))

    def observed_points(
        self, points_mm: Float[np.ndarray, "n 3"], structure: Int[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Mark the points that are observed, as points on their structures.

        Args:
            points_mm: RAS+ mm.
            structure: Index 0…K-1 of each point's structure.
        """
        observed: np.ndarray = self.present[structure]
        if self.scan is not None:
            # Only on cut structures does it matter where the field of view ends.
            on_cut = np.flatnonzero(observed & self.cut[structure])
            edge_mm = edge_distances_mm(points_mm[on_cut], self.scan)
            observed[on_cut] = known_mm(edge_mm, np.array([True]))[:, 0] > 0
        return observed

    def observed_vertices(
        self, vertices_mm: Float[np.ndarray, "v 3"], structure: int
    ) -> Bool[np.ndarray, " v"]:
        """Mark the observed vertices of one structure's surface.

        Args:
            vertices_mm: RAS+ mm.
            structure: Index 0…K-1 of the structure.
        """
        return self.observed_points(vertices_mm, np.full(len(vertices_mm), structure))

    def observed_interface_vertices(self, interfaces: SharedSurface) -> Bool[np.ndarray, " v"]:
        """Mark the vertices of a shared surface that are observed on all structures there."""
        # Unique pairs of a vertex and the label of a structure that meets there.
        corners = np.repeat(interfaces.faces.ravel(), 2)
        labels = np.repeat(interfaces.sides, 3, axis=0).ravel()
        # As one number each, which numpy sorts in half the time of rows of two.
        most = len(self.present) + 1
        pairs = np.unique((corners.astype(np.int64) * most + labels)[labels > 0])
        vertex, label = np.divmod(pairs, most)
        pair_observed = self.observed_points(interfaces.vertices_mm[vertex], label - 1)
        observed = np.ones(len(interfaces.vertices_mm), dtype=bool)
        observed[vertex[~pair_observed]] = False
        return observed

    def inferred_part(self, label_map: LabelMap) -> LabelMap:
        """Return a copy of a label map with all observed voxels set to background.

        Args:
            label_map: Labels 1…K on any grid.
        """
        labels = label_map.labels.copy()
        voxels = np.argwhere(labels)
        structure = labels[tuple(voxels.T)].astype(np.int64) - 1
        observed = self.observed_points(label_map.to_mm(voxels.astype(float)), structure)
        labels[tuple(voxels[observed].T)] = 0
        return replace(label_map, labels=labels)

    def nearest_in_view(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
        """Find each point's nearest point in the field of view.

        See :meth:`vecsetx.anatomy.field_of_view.FieldOfView.nearest`.

        Args:
            points_mm: RAS+ mm.

        Returns:
            The nearest points, equal to the given ones inside the field of view; and their
            distances, mm: 0 inside, ``+inf`` if the scan is too thin to have a field of view.
        """
        if self.scan is None:
            return points_mm, np.zeros(len(points_mm))
        return self.scan.field_of_view.nearest(points_mm)
