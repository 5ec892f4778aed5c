"""Random points of a heart: on its surfaces and in its volume."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.frame import UPRIGHT, Frame
from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import EDGE_VOXELS, edge_distances_mm

__all__ = ["quotas", "surface_points", "volume_points"]


def quotas(sizes: Float[np.ndarray, " k"], count: int, equal_share: float) -> Int[np.ndarray, " k"]:
    """Divide points among structures: one part equally, the rest in proportion to ``sizes``.

    Args:
        sizes: Size of each structure (area or volume); absent ones have size 0 and get no points.
        count: Number of points.
        equal_share: Fraction of the points to divide equally, 0…1.

    Returns:
        Number of points per structure, with the sum ``count``.
    """
    present = sizes > 0
    share = equal_share * present / present.sum() + (1 - equal_share) * sizes / sizes.sum()
    # Rounding the cumulative numbers instead of each share makes the sum exact.
    ends = np.rint(np.cumsum(share) * count).astype(np.int64)
    return np.diff(ends, prepend=0)


def surface_points(
    geometry: Geometry, count: int, equal_share: float, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Sample points uniformly on each structure's surface, in random order.

    Walls that close a structure where the field of view cuts it are left out.

    Args:
        geometry: The heart.
        count: Number of points.
        equal_share: Fraction of the points divided equally among the structures; the rest is
            divided by area.
        generator: Source of randomness.

    Returns:
        Points in RAS+ mm, the index 0…K−1 of each point's structure, and unit outward normals.

    Raises:
        InputError: There is no surface except at the edge of the scan.
    """
    weights = [_sampled_areas(geometry, k) for k in range(len(geometry.closed))]
    totals = np.array([weight.sum() for weight in weights])
    if not totals.any():
        shape = " × ".join(map(str, geometry.label_map.shape))
        raise InputError(
            f"a scan of {shape} voxels shows no surface: within {EDGE_VOXELS} voxels of its edge "
            "surfaces are not trusted; give one with more slices, or surface points"
        )
    # 1. Sample structure by structure. The same seed gives the same points only in this order.
    points, structure, normals = [], [], []
    for k, quota in enumerate(quotas(totals, count, equal_share)):
        if quota == 0:
            continue
        face = generator.choice(len(weights[k]), size=quota, p=weights[k] / totals[k])
        # Uniform barycentric coordinates: fold the unit square onto the triangle u + v ≤ 1.
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
    # 2. Shuffle, so that any slice of the points is a random sample.
    order = generator.permutation(count)
    shuffled = (np.concatenate(parts)[order] for parts in (points, structure, normals))
    return next(shuffled), next(shuffled), next(shuffled)


def _sampled_areas(geometry: Geometry, k: int) -> np.ndarray:
    """Return twice each face's area; 0 for walls where the field of view cuts the structure."""
    import igl

    vertices, faces = geometry.closed[k]
    areas = igl.doublearea(vertices, faces)
    if not geometry.cut[k]:
        return areas
    return areas * (edge_distances_mm(vertices[faces].mean(axis=1), geometry.label_map) > 0)


def _corner_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return ``[V, 3]`` unit vertex normals: area-weighted means of the adjacent faces' normals."""
    import igl

    areas = igl.doublearea(vertices, faces)
    sound = faces[areas > 1e-9 * areas.max()]  # a degenerate face has no normal
    return igl.per_vertex_normals(vertices, sound, igl.PER_VERTEX_NORMALS_WEIGHTING_TYPE_AREA)


def _interpolated(corners: np.ndarray, within: np.ndarray, at_corners: np.ndarray) -> np.ndarray:
    """Interpolate unit normals in faces from those at the corners.

    The faces' own normals would show the steps of the voxel grid.

    Args:
        corners: ``[N, 3, 3]`` corners of each point's face.
        within: ``[N, 3, 1]`` barycentric coordinates of the point.
        at_corners: ``[N, 3, 3]`` normals at the corners.
    """
    own = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = (at_corners * within).sum(axis=1)
    folded = ~(np.einsum("ni,ni->n", normals, own) > 0)  # the corners' normals contradict the face
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
    """Sample points in space, in random order: some anywhere, the rest inside structures.

    Args:
        geometry: The heart.
        frame: The heart's frame, whose whole domain is sampled.
        count: Number of points.
        background_share: Fraction of the points sampled anywhere: half of them in a box around the
            heart, half in the frame's domain.
        equal_share: Fraction of the other points divided equally among the structures; the rest is
            divided by volume.
        margin_mm: Margin of the box around the heart.
        generator: Source of randomness.

    Returns:
        Points in RAS+ mm.
    """
    # 1. Background: points anywhere.
    vertices = np.concatenate([vertices for vertices, _ in geometry.closed])
    low, high = vertices.min(axis=0) - margin_mm, vertices.max(axis=0) + margin_mm
    background = round(background_share * count)
    in_box = generator.uniform(low, high, size=(background // 2, 3))
    upright = replace(frame, rotation=UPRIGHT)
    anywhere = generator.uniform(*upright.domain_mm(), size=(background - background // 2, 3))
    if frame.is_turned:
        anywhere = frame.to_mm(upright.to_unit(anywhere))
    points = [in_box, anywhere]
    # 2. Points inside each structure: a random voxel of it, and a random place in that voxel.
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
