"""The triangles of a closed surface, with what is measured of each."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["Triangles"]


@dataclass(frozen=True, eq=False)
class Triangles:
    """A closed surface.

    Attributes:
        vertices_mm: RAS+ mm.
        faces: Outward-facing triangles.
    """

    vertices_mm: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]

    @cached_property
    def centers_mm(self) -> np.ndarray:
        """Centroid of each triangle, ``[F, 3]`` mm."""
        return np.asarray(self.vertices_mm[self.faces].mean(axis=1))

    @cached_property
    def area_vectors_mm2(self) -> np.ndarray:
        """Outward normal of each triangle, as long as its area, ``[F, 3]`` mm²."""
        a, b, c = self.vertices_mm[self.faces].transpose(1, 0, 2)
        return np.asarray(np.cross(b - a, c - a) / 2)

    @cached_property
    def areas_mm2(self) -> np.ndarray:
        """Area of each triangle, ``[F]`` mm²."""
        return np.asarray(np.linalg.norm(self.area_vectors_mm2, axis=1))

    @cached_property
    def normals(self) -> np.ndarray:
        """Outward unit normal of each triangle, ``[F, 3]``; 0 where it has no area."""
        return np.asarray(self.area_vectors_mm2 / np.maximum(self.areas_mm2, 1e-12)[:, None])

    def only(self, kept: Bool[np.ndarray, " f"]) -> "Triangles":
        """Return some of the triangles, with all vertices."""
        return Triangles(self.vertices_mm, self.faces[kept])
