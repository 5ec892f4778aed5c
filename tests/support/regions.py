"""Regions with known distances, for the tests of tetrahedral meshes."""

import numpy as np

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import Regions, finish, rough_mesh
from vecsetx.volume_mesh.splitting import facets_of

CENTERS, RADII = np.array([[0.0, 0, 0], [12, 0, 0]]), np.array([10.0, 9])
SHELL = 2.0


def two_balls_and_a_shell(points: np.ndarray) -> np.ndarray:
    """Two balls that touch in a wall, and a shell around the first, which the second cuts."""
    first, second = (
        np.linalg.norm(points - center, axis=1) - radius
        for center, radius in zip(CENTERS, RADII, strict=True)
    )
    return np.stack([first, second, np.maximum(first - SHELL, -first)], axis=1).astype(np.float32)


REGIONS = Regions(
    two_balls_and_a_shell,
    np.array([-12.0, -12, -12]),
    np.array([21.0, 12, 12]),
)


def made(regions: Regions, edge_mm: float, seed: int = 0) -> TetrahedralMesh:
    edges = np.full(regions.field(regions.low_mm[None]).shape[1], edge_mm)
    mesh = rough_mesh(regions, edges)
    finish(mesh, regions, edges, seed)
    return mesh


def counts_of_facets(tetrahedra: np.ndarray) -> np.ndarray:
    """How many facets belong to no, one, two, … tetrahedra."""
    facets = np.sort(facets_of(tetrahedra), axis=1)
    return np.bincount(np.unique(facets, axis=0, return_counts=True)[1])


def regular() -> tuple[np.ndarray, np.ndarray]:
    """A regular tetrahedron with edges of √8."""
    return np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), np.array([[1, 0, 2, 3]])
