"""The ventricle of Land et al. 2015: a truncated ellipsoid, with fibres in closed form."""

from itertools import permutations

import numpy as np

from vecsetx.fibres.muscle import Muscle
from vecsetx.volume_mesh.meshing import Regions

INNER_MM, OUTER_MM = np.array([7.0, 17.0]), np.array([10.0, 20.0])
BASE_MM = 5.0


def ventricle(points: np.ndarray) -> np.ndarray:
    """Signed distances, to first order, to the cavity and the wall around it."""
    base = points[:, 2] - BASE_MM

    def ellipsoid(radii_mm: np.ndarray) -> np.ndarray:
        scaled = points / radii_mm[[0, 0, 1]]
        slope = 2 * np.linalg.norm(scaled / radii_mm[[0, 0, 1]], axis=1)
        return ((scaled**2).sum(axis=1) - 1) / np.maximum(slope, 1e-6)

    inner, outer = ellipsoid(INNER_MM), ellipsoid(OUTER_MM)
    cavity = np.maximum(inner, base)
    wall = np.maximum(np.maximum(outer, base), -inner)
    return np.stack([cavity, wall], axis=1).astype(np.float32)


REGIONS = Regions(ventricle, np.array([-10.0, -10, -20]), np.array([10.0, 10, BASE_MM]))


def depth_of(points: np.ndarray) -> np.ndarray:
    """Depth within the wall, 0 to 1: of the ellipsoid through each point, by bisection."""
    low, high = np.zeros(len(points)), np.ones(len(points))
    for _ in range(50):
        middle = (low + high) / 2
        radii = INNER_MM + middle[:, None] * (OUTER_MM - INNER_MM)
        outside = ((points / radii[:, [0, 0, 1]]) ** 2).sum(axis=1) > 1
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return (low + high) / 2


def fibres_of(points: np.ndarray, inner_deg: float, outer_deg: float) -> np.ndarray:
    """Fibres in closed form (Land et al. 2015, appendix)."""
    depth = depth_of(points)
    short, long = (INNER_MM + depth[:, None] * (OUTER_MM - INNER_MM)).T
    # x = short sin u cos v, y = short sin u sin v, z = long cos u, with u from −π at the apex.
    u = -np.arccos(np.clip(points[:, 2] / long, -1, 1))
    v = np.arctan2(-points[:, 1], -points[:, 0])
    by_u = np.stack(
        [short * np.cos(u) * np.cos(v), short * np.cos(u) * np.sin(v), -long * np.sin(u)], axis=1
    )
    by_v = np.stack([-np.sin(u) * np.sin(v), np.sin(u) * np.cos(v), np.zeros_like(u)], axis=1)
    angle = np.radians(inner_deg + depth * (outer_deg - inner_deg))[:, None]
    return np.sin(angle) * _unit(by_u) + np.cos(angle) * _unit(by_v)


def lattice(
    layers: int = 5, rings: int = 44, columns: int = 70, hole_mm: float = 0.5
) -> tuple[Muscle, np.ndarray]:
    """The wall with all vertices in their places, and a hole at the apex; and its vertices."""
    count = np.array([layers + 1, rings + 1, columns])
    layer, ring, column = np.indices(count).reshape(3, -1)
    short, long = (INNER_MM + (layer / layers)[:, None] * (OUTER_MM - INNER_MM)).T
    # As in `fibres_of`, with u from the hole to the base.
    first, last = np.arcsin(hole_mm / short) - np.pi, -np.arccos(BASE_MM / long)
    u, v = first + ring / rings * (last - first), 2 * np.pi * column / columns
    points_mm = np.stack(
        [short * np.sin(u) * np.cos(v), short * np.sin(u) * np.sin(v), long * np.cos(u)], axis=1
    )

    def number(at: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index((at % [10**9, 10**9, columns]).T, count)

    cells = np.stack([layer, ring, column], axis=1)[(layer < layers) & (ring < rings)]
    tetrahedra = np.concatenate(
        [
            np.stack(
                [number(cells + np.eye(3, dtype=int)[list(way[:k])].sum(axis=0)) for k in range(4)],
                axis=1,
            )
            for way in permutations(range(3))
        ]
    )
    a, b, c, d = np.moveaxis(points_mm[tetrahedra], 1, 0)
    inside_out = (np.cross(b - a, c - a) * (d - a)).sum(axis=1) < 0
    tetrahedra[inside_out] = tetrahedra[inside_out][:, [1, 0, 2, 3]]
    every = np.arange(len(points_mm))
    muscle = Muscle(
        every,
        np.arange(len(tetrahedra)),
        tetrahedra,
        {"LV": every[layer == 0]},
        every[layer == layers],
        every[ring == rings],
        every[ring == 0],
        np.zeros(len(every), dtype=bool),
    )
    return muscle, points_mm


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
