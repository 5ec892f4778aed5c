"""Better shaped tetrahedra: vertices around bad ones move, short edges vanish.

Both are kept only where the worst tetrahedron around gets better, so that no step makes anything
worse. A vertex on an interface stays on it, one where interfaces meet stays there, and edges vanish
only along the interfaces that they lie on. Around tetrahedra that stay bad, vertices may leave
their interfaces a little.
"""

import numpy as np

from vecsetx.volume_mesh.collapsing import collapse_edges
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.moving import move_vertices
from vecsetx.volume_mesh.patch import Patch
from vecsetx.volume_mesh.sampled_field import SampledField
from vecsetx.volume_mesh.shapes import shapes

__all__ = ["STUCK", "improve"]

_PATCHES, _ROUNDS = 4, 8

STUCK = 0.25
"""Shape for which vertices may leave their interfaces a little: dihedral angles of 14°."""


def improve(
    mesh: TetrahedralMesh,
    field: SampledField,
    goal: float,
    edge_mm: float,
    generator: np.random.Generator,
) -> None:
    """Improve tetrahedra until their shape reaches a goal, or nothing helps.

    Args:
        mesh: What is improved.
        field: The interfaces.
        goal: The shape (:func:`~vecsetx.volume_mesh.shapes.shapes`) that is good enough.
        edge_mm: Usual length of an edge.
        generator: Randomness of directions and turns.
    """
    for number in range(_PATCHES):
        loose = number > 0  # what still is bad is stuck
        if loose:
            goal = min(goal, STUCK)
        bad = shapes(mesh.points_mm, mesh.tetrahedra) < goal
        if not bad.any():
            return
        patch = Patch.around_bad(mesh, bad)
        for turn in range(_ROUNDS):
            changes = collapse_edges(patch, goal)
            step_mm = 0.3 * edge_mm * 0.8**turn
            changes += move_vertices(patch, field, goal, step_mm, loose, generator)
            if not changes:
                break
        patch.put_back(mesh)
