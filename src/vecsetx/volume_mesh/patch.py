"""The part of a mesh around badly shaped tetrahedra, which can change while the rest stays."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.splitting import compact

__all__ = ["Patch"]

_RINGS = 3


@dataclass(slots=True)
class Patch:
    """A part of a mesh, as a mesh of its own.

    Attributes:
        mesh: The part.
        fixed: Vertices that the rest of the mesh has, too.
        vertices: Number of each vertex in the whole mesh.
        rest: Tetrahedra of the whole mesh that are not in it.
    """

    mesh: TetrahedralMesh
    fixed: Bool[np.ndarray, " v"]
    vertices: Int[np.ndarray, " v"]
    rest: Bool[np.ndarray, " t"]

    @classmethod
    def around_bad(cls, mesh: TetrahedralMesh, bad: Bool[np.ndarray, " t"]) -> "Patch":
        """Take what lies within a few tetrahedra of bad ones."""
        inside = bad
        for _ in range(_RINGS):
            near = np.zeros(len(mesh.points_mm), dtype=bool)
            near[mesh.tetrahedra[inside]] = True
            inside = near[mesh.tetrahedra].any(axis=1)
        outside = np.zeros(len(mesh.points_mm), dtype=bool)
        outside[mesh.tetrahedra[~inside]] = True
        vertices, tetrahedra = compact(mesh.tetrahedra[inside], len(mesh.points_mm))
        part = TetrahedralMesh(
            mesh.points_mm[vertices], tetrahedra, mesh.region[inside], mesh.around[vertices]
        )
        return cls(part, outside[vertices], vertices, ~inside)

    def put_back(self, mesh: TetrahedralMesh) -> None:
        """Let the whole mesh have what was changed."""
        mesh.points_mm[self.vertices] = self.mesh.points_mm
        mesh.around[self.vertices] = self.mesh.around
        tetrahedra = np.concatenate(
            [mesh.tetrahedra[self.rest], self.vertices[self.mesh.tetrahedra].astype(np.int32)]
        )
        region = np.concatenate([mesh.region[self.rest], self.mesh.region])
        used, mesh.tetrahedra = compact(tetrahedra, len(mesh.points_mm))
        mesh.region = region
        mesh.points_mm, mesh.around = mesh.points_mm[used], mesh.around[used]
