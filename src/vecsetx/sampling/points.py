"""Which points of a heart are drawn: on its surfaces, near them, and in its volume."""

import igl
import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.frame import Frame
from vecsetx.errors import InputError
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.view import EDGE_VOXELS, edge_distances_mm


def quotas(sizes: Float[np.ndarray, " k"], count: int, equal_share: float) -> Int[np.ndarray, " k"]:
    """Divide points among structures: a share equally, the rest in proportion to ``sizes``.

    Structures of size 0 (absent) get none. The quotas add up to ``count`` exactly.
    """
    present = sizes > 0
    share = equal_share * present / present.sum() + (1 - equal_share) * sizes / sizes.sum()
    ends = np.rint(np.cumsum(share) * count).astype(np.int64)
    return np.diff(ends, prepend=0)


def surface_points(
    geometry: Geometry, count: int, equal_share: float, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Points spread evenly over each structure's surface, in random order.

    The walls that close a structure where the scan cuts it are left out.

    Args:
        geometry: The heart.
        count: Points.
        equal_share: Share of the points that is divided equally among the structures; the rest goes
            by area.
        generator: Source of the draws.

    Returns:
        Points in RAS+ mm, the index 0…K−1 of each point's structure, unit outward normals.

    Raises:
        InputError: There is no surface but at the edge of the scan.
    """
    weights = [_drawn_areas(geometry, k) for k in range(len(geometry.closed))]
    totals = np.array([weight.sum() for weight in weights])
    if not totals.any():
        shape = " × ".join(map(str, geometry.label_map.shape))
        raise InputError(
            f"a scan of {shape} voxels shows no surface: within {EDGE_VOXELS} voxels of its edge "
            "it is not known where a structure ends; give one with more slices, or surface points"
        )
    points, structure, normals = [], [], []
    for k, quota in enumerate(quotas(totals, count, equal_share)):
        if quota == 0:
            continue
        face = generator.choice(len(weights[k]), size=quota, p=weights[k] / totals[k])
        u, v = generator.random((2, quota, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        vertices, faces = geometry.closed[k]
        corners = vertices[faces[face]]
        within = np.stack([1 - u - v, u, v], axis=1)
        points.append((corners * within).sum(axis=1))
        normals.append(
            _interpolated(corners, within, _corner_normals(vertices, faces)[faces[face]])
        )
        structure.append(np.full(quota, k))
    order = generator.permutation(count)
    shuffled = (np.concatenate(parts)[order] for parts in (points, structure, normals))
    return next(shuffled), next(shuffled), next(shuffled)


def _drawn_areas(geometry: Geometry, k: int) -> np.ndarray:
    """Twice the area of a structure's faces, 0 for those of a wall where the scan cuts it."""
    vertices, faces = geometry.closed[k]
    areas = igl.doublearea(vertices, faces)
    if not geometry.cut[k]:
        return areas
    return areas * (edge_distances_mm(vertices[faces].mean(axis=1), geometry.label_map) > 0)


def _corner_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``[V, 3]`` mean unit normals of the faces around each vertex, by area."""
    areas = igl.doublearea(vertices, faces)
    sound = faces[areas > 1e-9 * areas.max()]  # a face without an area has no normal
    return igl.per_vertex_normals(vertices, sound, igl.PER_VERTEX_NORMALS_WEIGHTING_TYPE_AREA)


def _interpolated(corners: np.ndarray, within: np.ndarray, at_corners: np.ndarray) -> np.ndarray:
    """Unit normals within faces from those at their corners, as the faces' own are terraced.

    Args:
        corners: ``[N, 3, 3]`` the corners of each point's face.
        within: ``[N, 3, 1]`` its barycentric coordinates.
        at_corners: ``[N, 3, 3]`` the normals there.
    """
    own = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = (at_corners * within).sum(axis=1)
    folded = ~(np.einsum("ni,ni->n", normals, own) > 0)  # corners that contradict each other
    normals[folded] = own[folded]
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def volume_points(
    geometry: Geometry,
    frame: Frame,
    count: int,
    background_share: float,
    equal_share: float,
    margin_mm: float,
    generator: np.random.Generator,
) -> Float[np.ndarray, "n 3"]:
    """Points in RAS+ mm, in random order: some from anywhere, the others from structures' voxels.

    Args:
        geometry: The heart.
        frame: Its frame, whose whole domain is sampled.
        count: Points.
        background_share: Share of the points drawn anywhere: half of them from a box around the
            heart, half from the frame's domain.
        equal_share: Share of the others that is divided equally among the structures; the rest goes
            by volume.
        margin_mm: How far the box goes beyond the heart.
        generator: Source of the draws.
    """
    vertices = np.concatenate([vertices for vertices, _ in geometry.closed])
    low, high = vertices.min(axis=0) - margin_mm, vertices.max(axis=0) + margin_mm
    background = round(background_share * count)
    points = [
        generator.uniform(low, high, size=(background // 2, 3)),
        generator.uniform(*frame.domain_mm(), size=(background - background // 2, 3)),
    ]
    label_map = geometry.label_map.cropped()
    occupied = np.flatnonzero(label_map.labels)
    label = label_map.labels.ravel()[occupied]
    voxels = [occupied[label == k] for k in range(1, len(geometry.closed) + 1)]
    sizes = np.array([float(len(indices)) for indices in voxels])
    wanted = quotas(sizes, count - background, equal_share)
    for indices, quota in zip(voxels, wanted, strict=True):
        chosen = generator.choice(indices, size=quota) if quota else indices[:0]
        corner = np.stack(np.unravel_index(chosen, label_map.shape), axis=-1)
        points.append(label_map.to_mm(corner + generator.uniform(-0.5, 0.5, size=corner.shape)))
    return generator.permutation(np.concatenate(points))
