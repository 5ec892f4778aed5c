"""Vertices of bad tetrahedra move to where the worst tetrahedron around them is better."""

import numpy as np

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.patch import Patch
from vecsetx.volume_mesh.sampled_field import SampledField
from vecsetx.volume_mesh.settling import onto_interfaces
from vecsetx.volume_mesh.shapes import shapes, shapes_at
from vecsetx.volume_mesh.splitting import distinct
from vecsetx.volume_mesh.stars import Stars, apart

__all__ = ["move_vertices"]

_DIRECTIONS = 14

_GAIN = 1e-4
"""What the shape of the worst tetrahedron around has to gain for a move."""


def move_vertices(
    patch: Patch,
    field: SampledField,
    goal: float,
    step_mm: float,
    loose: bool,
    generator: np.random.Generator,
) -> int:
    """Try other places for the vertices of bad tetrahedra, once for each; return how many moved.

    If ``loose``, half of the places are not on the interfaces, but close to them.
    """
    mesh = patch.mesh
    bad = shapes(mesh.points_mm, mesh.tetrahedra) < goal
    left = distinct(mesh.tetrahedra[bad])
    left = left[~patch.fixed[left]]
    near = np.zeros(len(mesh.points_mm), dtype=bool)
    near[left] = True
    around = mesh.tetrahedra[near[mesh.tetrahedra].any(axis=1)]
    moved = 0
    while len(left):
        chosen = apart(around, left, generator.random(len(left)), len(near))
        moved += _move(mesh, around, left[chosen], field, step_mm, loose, generator)
        left = left[~chosen]
    return moved


def _move(
    mesh: TetrahedralMesh,
    tetrahedra: np.ndarray,
    vertices: np.ndarray,
    field: SampledField,
    step_mm: float,
    loose: bool,
    generator: np.random.Generator,
) -> int:
    stars = Stars.of(tetrahedra, vertices)
    directions = generator.normal(size=(len(vertices), _DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    lengths = step_mm * np.geomspace(1, 0.1, _DIRECTIONS)[:, None]
    here = mesh.points_mm[vertices]
    tried = np.concatenate([here[:, None], here[:, None] + lengths * directions], axis=1)
    bound = np.flatnonzero(np.bitwise_count(mesh.around[vertices]) > 1)
    if len(bound):
        flat = tried[bound, 1:].reshape(-1, 3)
        around = np.repeat(mesh.around[vertices[bound]], _DIRECTIONS)
        onto = onto_interfaces(flat, around, field, step_mm).reshape(-1, _DIRECTIONS, 3)
        if loose:
            # Shorter ways first: the second half of the directions leave the interface the least.
            onto[:, _DIRECTIONS // 2 :] = tried[bound, 1 + _DIRECTIONS // 2 :]
        tried[bound, 1:] = onto
    around = tetrahedra[stars.tetrahedra]
    found = shapes_at(mesh.points_mm, around, stars.corner, tried, stars.owner)
    worst = np.minimum.reduceat(found, stars.first, axis=0)
    best = worst.argmax(axis=1)
    rows = np.arange(len(vertices))
    better = worst[rows, best] > worst[:, 0] + _GAIN
    mesh.points_mm[vertices[better]] = tried[rows, best][better]
    return int(better.sum())
