"""The ventricle of Land et al. 2015: a truncated ellipsoid, with fibres in closed form."""

import numpy as np

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


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
