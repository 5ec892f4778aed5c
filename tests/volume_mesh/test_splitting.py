"""Splitting edges of tetrahedral meshes: what was conforming stays so, and nothing is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.regions import counts_of_facets

from vecsetx.volume_mesh.lattice import graded_lattice
from vecsetx.volume_mesh.quality import volumes_mm3
from vecsetx.volume_mesh.splitting import compact, edges_of, facets_of, split_edges


def cubes() -> tuple[np.ndarray, np.ndarray]:
    points, tetrahedra = graded_lattice(
        np.zeros(3), np.full(3, 2.0), np.array([2.0]), lambda at: np.full((len(at), 1), -100.0)
    )
    return points, tetrahedra


POINTS, TETRAHEDRA = cubes()
EDGES = edges_of(TETRAHEDRA)
OUTER = counts_of_facets(TETRAHEDRA)[1]


def test_edges_are_those_of_a_set() -> None:
    found = {
        tuple(sorted((int(a), int(b))))
        for corners in TETRAHEDRA
        for a in corners
        for b in corners
        if a != b
    }
    assert list(map(tuple, EDGES.tolist())) == sorted(found)


def test_facets_face_outwards() -> None:
    corners = POINTS[facets_of(TETRAHEDRA)].reshape(-1, 4, 3, 3)
    center = POINTS[TETRAHEDRA].mean(axis=1)[:, None]
    normals = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    assert ((normals * (corners.mean(axis=2) - center)).sum(axis=2) > 0).all()


@settings(max_examples=40)
@given(st.data())
def test_any_edges_can_be_split_at_once(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(EDGES) - 1), unique=True, max_size=60))
    share = data.draw(st.floats(0.1, 0.9))
    edges = EDGES[chosen]
    ends = POINTS[edges]
    points = np.concatenate([POINTS, (1 - share) * ends[:, 0] + share * ends[:, 1]])
    tetrahedra, part_of = split_edges(TETRAHEDRA, edges, len(POINTS))
    # 1. No edge is left, and nothing else was split.
    left = set(map(tuple, edges_of(tetrahedra).tolist()))
    assert left.isdisjoint(map(tuple, edges.tolist()))
    whole = ~np.isin(np.arange(len(TETRAHEDRA)), np.flatnonzero(np.bincount(part_of) > 1))
    has_one = np.array(
        [
            any(tuple(sorted(pair)) in set(map(tuple, edges.tolist())) for pair in pairs)
            for pairs in TETRAHEDRA[:, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]].tolist()
        ]
    )
    assert (whole == ~has_one).all()
    # 2. The parts fill the tetrahedra that they are parts of, without a turn.
    volumes = volumes_mm3(points, tetrahedra)
    assert (volumes > 0).all()
    assert np.bincount(part_of, volumes) == pytest.approx(volumes_mm3(POINTS, TETRAHEDRA))
    # 3. Facets fit together.
    counts = counts_of_facets(tetrahedra)
    assert len(counts) == 3
    assert counts[1] >= OUTER


def test_vertices_that_nobody_uses_go() -> None:
    used, tetrahedra = compact(np.array([[7, 3, 5, 9], [3, 5, 9, 4]], np.int32), 12)
    assert used.tolist() == [3, 4, 5, 7, 9]
    assert used[tetrahedra].tolist() == [[7, 3, 5, 9], [3, 5, 9, 4]]
