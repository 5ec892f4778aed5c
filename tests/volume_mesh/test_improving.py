"""Edges that vanish: nothing gets worse, and nothing is joined."""

import numpy as np
from support.regions import REGIONS, counts_of_facets

from vecsetx.volume_mesh.collapsing import collapse_edges
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import rough_mesh
from vecsetx.volume_mesh.patch import Patch
from vecsetx.volume_mesh.shapes import shapes
from vecsetx.volume_mesh.splitting import edges_of, facets_of


def euler(mesh: TetrahedralMesh, region: int) -> int:
    """Vertices − edges + facets − tetrahedra of a region: 1 for a ball, 2 for a closed shell."""
    own = mesh.of_region(region)
    facets = np.unique(np.sort(facets_of(own), axis=1), axis=0)
    return len(np.unique(own)) - len(edges_of(own)) + len(facets) - len(own)


def test_collapsing_as_many_as_can_be_spoils_no_shape_and_no_region() -> None:
    mesh = rough_mesh(REGIONS, np.full(3, 2.5))
    before = [euler(mesh, region) for region in (1, 2, 3)]
    count, worst = len(mesh.points_mm), shapes(mesh.points_mm, mesh.tetrahedra).min()
    patch = Patch.around_bad(mesh, np.ones(len(mesh.tetrahedra), dtype=bool))
    while collapse_edges(patch, goal=9.0):
        patch.put_back(mesh)
        patch = Patch.around_bad(mesh, np.ones(len(mesh.tetrahedra), dtype=bool))
        now = shapes(mesh.points_mm, mesh.tetrahedra).min()
        assert now >= worst
        worst = now
    assert len(mesh.points_mm) < 0.9 * count
    assert len(counts_of_facets(mesh.tetrahedra)) == 3
    assert [euler(mesh, region) for region in (1, 2, 3)] == before
