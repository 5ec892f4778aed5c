"""What solvers take: a mesh with named regions, interfaces and nodes, coordinates and fibres."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

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

    def without(self, dropped: Collection[str]) -> "SolverMesh":
        """Return the mesh without some of its regions, such as blood.

        Interfaces to them keep their names, and become outer surfaces whose normals point outwards.

        Args:
            dropped: Names of regions; not all of them.
        """
        if not dropped:
            return self
        kept = np.array([name not in dropped for name in self.names])
        # Region before → after; 0 for the background and what is dropped.
        number = np.concatenate([[0], np.cumsum(kept) * kept])
        cells = number[self.mesh.region] > 0
        vertices = np.unique(self.mesh.tetrahedra[cells])
        local = np.full(len(self.mesh.points_mm), -1)
        local[vertices] = np.arange(len(vertices))
        tetrahedra = local[self.mesh.tetrahedra[cells]].astype(self.mesh.tetrahedra.dtype)
        region = number[self.mesh.region[cells]].astype(self.mesh.region.dtype)
        around = _regions_around(self.mesh.around[vertices], kept)
        interfaces = []
        for interface in self.interfaces:
            first, second = (int(number[side]) for side in interface.sides)
            if first == second == 0:
                continue
            facets = local[interface.facets]
            if first == 0:
                first, second, facets = second, first, facets[:, ::-1]
            interfaces.append(replace(interface, sides=(first, second), facets=facets))
        sets = {name: local[nodes] for name, nodes in self.node_sets.items()}
        return SolverMesh(
            TetrahedralMesh(self.mesh.points_mm[vertices], tetrahedra, region, around),
            list(compress(self.names, kept)),
            list(compress(self.ids, kept)),
            interfaces,
            {name: nodes[nodes >= 0] for name, nodes in sets.items() if (nodes >= 0).any()},
            {name: numbers[vertices] for name, numbers in self.coordinates.items()},
            {name: vectors[cells] for name, vectors in self.vectors.items()},
        )


def _regions_around(
    around: UInt[np.ndarray, " v"], kept: Bool[np.ndarray, " k"]
) -> UInt[np.ndarray, " v"]:
    """Renumber the regions in bits; what is dropped becomes background, bit 0."""
    gone = np.uint32(sum(1 << region for region in np.flatnonzero(~kept) + 1) | 1)
    renumbered = ((around & gone) > 0).astype(np.uint32)
    for after, before in enumerate(np.flatnonzero(kept) + 1, 1):
        renumbered |= ((around >> np.uint32(before)) & np.uint32(1)) << np.uint32(after)
    return renumbered
