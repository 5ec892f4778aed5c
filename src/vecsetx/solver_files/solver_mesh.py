"""What solvers take: a mesh with named regions, interfaces and nodes, coordinates and fibres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["SolverMesh"]


@dataclass(frozen=True, slots=True)
class SolverMesh:
    """A mesh, and what solvers need to know of it.

    Attributes:
        mesh: The tetrahedra; vectors and points are in RAS+, mm.
        names: Names of its K regions.
        ids: Their ids in files.
        interfaces: Facets between regions and of the outer surface, each in one interface.
        node_sets: Name → vertices, such as the ring of a valve.
        coordinates: Name → a number per vertex, NaN where there is none.
        vectors: Name → a unit vector per tetrahedron, 0 where there is none; such as ``fiber``.
    """

    mesh: TetrahedralMesh
    names: Sequence[str]
    ids: Sequence[int]
    interfaces: Sequence[Interface]
    node_sets: Mapping[str, Int[np.ndarray, " n"]] = field(default_factory=dict)
    coordinates: Mapping[str, Float[np.ndarray, " v"]] = field(default_factory=dict)
    vectors: Mapping[str, Float[np.ndarray, "t 3"]] = field(default_factory=dict)
