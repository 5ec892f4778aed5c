"""Which points of a heart are drawn: on its surfaces, near them, and in its volume."""

import igl
import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.frame import Frame
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.interfaces import cropped
from vecsetx.sampling.view import edge_distances_mm


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
    """
    corners = [vertices[faces] for vertices, faces in geometry.closed]
    crosses = [np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in corners]
    lengths = [np.linalg.norm(cross, axis=1) for cross in crosses]
    weights = [
        length * (edge_distances_mm(c.mean(axis=1), geometry.label_map) > 0) if cut else length
        for length, c, cut in zip(lengths, corners, geometry.cut, strict=True)
    ]
    totals = np.array([weight.sum() for weight in weights])
    points, structure, normals = [], [], []
    for k, quota in enumerate(quotas(totals, count, equal_share)):
        if quota == 0:
            continue
        face = generator.choice(len(weights[k]), size=quota, p=weights[k] / totals[k])
        u, v = generator.random((2, quota, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        a, b, c = (corners[k][face, i] for i in range(3))
        points.append(a + u * (b - a) + v * (c - a))
        weights_within = np.concatenate([1 - u - v, u, v], axis=1)
        normals.append(_interpolated(*geometry.closed[k], crosses[k], face, weights_within))
        structure.append(np.full(quota, k))
    order = generator.permutation(count)
    shuffled = (np.concatenate(parts)[order] for parts in (points, structure, normals))
    return next(shuffled), next(shuffled), next(shuffled)


def _interpolated(
    vertices: np.ndarray, faces: np.ndarray, own: np.ndarray, face: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Unit normals within faces from those at their corners, as the faces' own are terraced.

    Args:
        vertices: ``[V, 3]``.
        faces: ``[F, 3]``.
        own: ``[F, 3]`` the faces' own normals, of a length that is twice their area.
        face: ``[N]`` in which face each point lies.
        weights: ``[N, 3]`` its barycentric coordinates.
    """
    area = np.linalg.norm(own, axis=1)
    sound = faces[area > 1e-9 * area.max()]  # a face without an area has no normal
    by_angle = igl.PER_VERTEX_NORMALS_WEIGHTING_TYPE_ANGLE
    at_corners = igl.per_vertex_normals(vertices, sound, by_angle)[faces[face]]
    normals = (at_corners * weights[..., None]).sum(axis=1)
    folded = ~(np.einsum("ni,ni->n", normals, own[face]) > 0)  # corners that contradict each other
    normals[folded] = own[face[folded]]
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
    label_map = cropped(geometry.label_map)
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
