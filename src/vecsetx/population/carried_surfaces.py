"""Meshes of other hearts of a space with the vertices and faces of the mean heart's.

A vertex goes where the anchors around it go, and then along its normal onto the surface of the
heart. So a page can store one mesh and the places of its vertices, and move from heart to heart.
"""

from collections.abc import Mapping, Sequence

import igl
import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from vecsetx.population.averaging import mean_around
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.surfaces import Surface

__all__ = ["carried_surfaces"]

_AROUND = 8
"""Anchors whose displacements a vertex takes over."""

_STEPS, _LARGEST_MM = 6, 3.0
"""Steps onto the surface, and the longest of them."""

_SMOOTHINGS = 3
"""How often each step is averaged with those of the vertices around it: at a sharp edge, normals
point anywhere, and single vertices would leave the others."""


def carried_surfaces(
    surfaces: Mapping[str, Surface],
    start_mm: Float[np.ndarray, "m 3"],
    end_mm: Float[np.ndarray, "m 3"],
    structure: Int[np.ndarray, " m"],
    heart: DistanceField,
) -> dict[str, Float[np.ndarray, "v 3"]]:
    """Return where the vertices of the mean heart's meshes lie in another heart, mm.

    Args:
        surfaces: Structure → the mean heart's mesh, closed.
        start_mm: The mean heart's anchors.
        end_mm: The other heart's.
        structure: Index of each anchor's structure.
        heart: The other heart.
    """
    names = list(surfaces)
    columns = [heart.structures.index(name) for name in names]
    moved = [
        vertices + mean_around(vertices, start_mm[rows], (end_mm - start_mm)[rows], _AROUND)
        for name, k in zip(names, columns, strict=True)
        for vertices, rows in [(surfaces[name].vertices_mm, structure == k)]
    ]
    for _ in range(_STEPS):
        moved = _nearer(moved, [surfaces[name].faces for name in names], columns, heart)
    return dict(zip(names, moved, strict=True))


def _nearer(
    vertices: Sequence[np.ndarray],
    faces: Sequence[np.ndarray],
    columns: Sequence[int],
    heart: DistanceField,
) -> list[np.ndarray]:
    """Move vertices along their normals by their distances from the heart's surfaces."""
    distances_mm = heart.distances_mm(np.concatenate(vertices).astype(np.float64))
    found, first = [], 0
    for own, triangles, k in zip(vertices, faces, columns, strict=True):
        along_mm = np.clip(distances_mm[first : first + len(own), k], -_LARGEST_MM, _LARGEST_MM)
        normals = igl.per_vertex_normals(own.astype(np.float64), triangles)
        step = along_mm[:, None] * np.nan_to_num(normals)
        around = sparse.csr_array(igl.adjacency_matrix(triangles)) + sparse.eye_array(len(own))
        for _ in range(_SMOOTHINGS):
            step = (around @ step) / around.sum(axis=1)[:, None]
        found.append(own - step)
        first += len(own)
    return found
