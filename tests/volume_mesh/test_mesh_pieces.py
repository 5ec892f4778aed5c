"""Pieces of regions, and specks that are none."""

import numpy as np

from vecsetx.volume_mesh.lattice import graded_lattice
from vecsetx.volume_mesh.pieces import neighbors, remove_specks

POINTS, TETRAHEDRA = graded_lattice(
    np.zeros(3), np.full(3, 2.0), np.array([2.0]), lambda at: np.full((len(at), 1), -100.0)
)


def test_neighbors_share_three_corners() -> None:
    shared = (TETRAHEDRA[:, None, :, None] == TETRAHEDRA[None, :, None, :]).any(axis=3).sum(axis=2)
    one, other = np.nonzero(np.triu(shared == 3, 1))
    expected = set(zip(one.tolist(), other.tolist(), strict=True))
    assert {tuple(sorted(pair)) for pair in neighbors(TETRAHEDRA).tolist()} == expected


def test_a_tetrahedron_alone_joins_the_region_around_it() -> None:
    region = np.full(len(TETRAHEDRA), 2, np.uint8)
    center = POINTS[TETRAHEDRA].mean(axis=1)
    alone = np.linalg.norm(center - POINTS.mean(axis=0), axis=1).argmin()
    half = center[:, 0] > POINTS[:, 0].mean() + 2
    region[half], region[alone] = 1, 1
    on_interface = np.zeros(len(POINTS), dtype=bool)
    on_interface[TETRAHEDRA[alone]] = True
    on_interface[np.intersect1d(TETRAHEDRA[half], TETRAHEDRA[~half])] = True
    expected = region.copy()
    expected[alone] = 2
    remove_specks(TETRAHEDRA, region, on_interface)
    assert (region == expected).all()
