"""Decimation of shared meshes, and the distance between decimated and full meshes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.reconstruction.surfaces import Surface


@dataclass(frozen=True, slots=True)
class DecimationError:
    """Distance between a decimated surface and the full one, in both directions.

    Distances run from the vertices of the full surface to the decimated one, and from the vertices
    and face centres of the decimated surface to the full one.

    Attributes:
        faces_before: Number of faces of the full surface.
        mean_mm: Mean of the two directions' mean distances.
        max_mm: Largest distance in either direction.
    """

    faces_before: int
    mean_mm: float
    max_mm: float


def decimation_error(full: Surface, coarse: Surface) -> DecimationError:
    """Measure the distance between a full surface and its decimated version."""
    centers_mm = coarse.vertices_mm[coarse.faces].mean(axis=1)
    there_mm = _distances_mm(full.vertices_mm, coarse)
    back_mm = _distances_mm(np.concatenate([coarse.vertices_mm, centers_mm]), full)
    mean_mm = float((there_mm.mean() + back_mm.mean()) / 2)
    return DecimationError(len(full.faces), mean_mm, float(max(there_mm.max(), back_mm.max())))


def decimate_interfaces(interfaces: SharedSurface, target_faces: int) -> SharedSurface:
    """Decimate a shared mesh by quadric edge collapse (Garland and Heckbert, SIGGRAPH 1997).

    The wall between each pair of sides is decimated separately, with its border fixed. Hence walls
    still meet exactly, without overlaps or gaps. Borders keep all their vertices, which limits how
    coarse the mesh can become.

    Args:
        interfaces: The full mesh.
        target_faces: Number of faces to aim at, over all walls. Each wall's target is proportional
            to the square root of its faces: large walls can lose the most, and proportional shares
            would tear thin vessels.

    Returns:
        The decimated mesh; the full one if it has at most ``target_faces`` faces.
    """
    import fast_simplification

    if target_faces >= len(interfaces.faces):
        return interfaces
    # A wall is all faces between the same two sides.
    pairs, wall_of_face, faces_of_wall = np.unique(
        interfaces.sides, axis=0, return_inverse=True, return_counts=True
    )
    shares = np.sqrt(faces_of_wall) / np.sqrt(faces_of_wall).sum()
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    sides: list[np.ndarray] = []
    count = 0
    for wall, pair in enumerate(pairs):
        # The wall as a mesh of its own, with vertices numbered from 0.
        used, numbers = np.unique(
            interfaces.faces[wall_of_face.ravel() == wall], return_inverse=True
        )
        patch = numbers.reshape(-1, 3).astype(np.int32)
        coarse_vertices, coarse_faces = interfaces.vertices_mm[used], patch
        # A wall that is small enough already stays as it is.
        if (target := max(round(shares[wall] * target_faces), 4)) < len(patch):
            coarse_vertices, coarse_faces = fast_simplification.simplify(
                coarse_vertices, patch, target_count=target, preserve_border=True
            )
        vertices.append(coarse_vertices)
        faces.append(coarse_faces + count)  # numbered after the vertices of earlier walls
        sides.append(np.repeat(pair[None], len(coarse_faces), axis=0))
        count += len(coarse_vertices)
    return _merge_borders(np.concatenate(vertices), np.concatenate(faces), np.concatenate(sides))


def _merge_borders(vertices_mm: np.ndarray, faces: np.ndarray, sides: np.ndarray) -> SharedSurface:
    """Join walls at their borders, whose vertices are bitwise equal."""
    unique_mm, numbers = np.unique(vertices_mm, axis=0, return_inverse=True)
    return SharedSurface(unique_mm, numbers.ravel()[faces].astype(np.int64), sides)


def _distances_mm(points_mm: Float[np.ndarray, "n 3"], surface: Surface) -> np.ndarray:
    import igl

    squared = igl.point_mesh_squared_distance(
        points_mm.astype(np.float64), surface.vertices_mm.astype(np.float64), surface.faces
    )[0]
    return np.sqrt(squared)
