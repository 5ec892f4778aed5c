"""The lattice that meshes begin as."""

import numpy as np
import pytest
from support.regions import counts_of_facets

from vecsetx.volume_mesh.lattice import graded_lattice
from vecsetx.volume_mesh.quality import dihedral_angles_deg, scaled_jacobians, volumes_mm3
from vecsetx.volume_mesh.splitting import EDGES


def balls(points: np.ndarray) -> np.ndarray:
    """A ball of 20 mm, and one of 5 mm beside it."""
    large = np.linalg.norm(points, axis=1) - 20
    return np.stack([large, np.linalg.norm(points - [27, 0, 0], axis=1) - 5], axis=1)


LOW, HIGH = np.array([-20.0, -20, -20]), np.array([32.0, 20, 20])
POINTS, TETRAHEDRA = graded_lattice(LOW, HIGH, np.array([2.0, 1.0]), balls)
DISTANCES = balls(POINTS)
LONGEST = np.linalg.norm(
    POINTS[TETRAHEDRA[:, EDGES[:, 0]]] - POINTS[TETRAHEDRA[:, EDGES[:, 1]]], axis=2
).max(axis=1)


def test_it_is_conforming_and_well_shaped_wherever_it_is_graded() -> None:
    assert len(counts_of_facets(TETRAHEDRA)) == 3
    assert (volumes_mm3(POINTS, TETRAHEDRA) > 0).all()
    assert len(np.unique(LONGEST.round(6))) >= 6
    angles = dihedral_angles_deg(POINTS, TETRAHEDRA)
    assert angles.min() > 44.99
    assert angles.max() < 120.01
    assert scaled_jacobians(POINTS, TETRAHEDRA).min() > 0.5


def test_it_covers_all_with_a_layer_around() -> None:
    volume = volumes_mm3(POINTS, TETRAHEDRA).sum()
    assert volume > 4 / 3 * np.pi * (20**3 + 5**3)
    assert (DISTANCES.min(axis=1)[TETRAHEDRA].max(axis=1) < LONGEST).all()


@pytest.mark.parametrize(("region", "longest_mm"), [(0, 2.0), (1, 1.0)])
def test_where_walls_cut_it_has_the_edges_asked_for(region: int, longest_mm: float) -> None:
    signs = DISTANCES[:, region][TETRAHEDRA] < 0
    cut = signs.any(axis=1) & ~signs.all(axis=1)
    assert LONGEST[cut].max() <= longest_mm * 1.0001


def test_inside_edges_grow() -> None:
    depth = -DISTANCES[:, 0][TETRAHEDRA].max(axis=1)
    assert LONGEST[depth > 12].min() > 4
    # A fifth of what a lattice as fine as the small ball's would have.
    assert len(TETRAHEDRA) < 0.2 * 12 * volumes_mm3(POINTS, TETRAHEDRA).sum()
