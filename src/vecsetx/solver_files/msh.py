"""Tetrahedral meshes as Gmsh's files (``.msh`` 4.1), which FEniCSx, FEBio Studio and Gmsh read."""

from collections.abc import Sequence
from pathlib import Path

import meshio
import numpy as np
from jaxtyping import Int

from vecsetx.files import written_whole
from vecsetx.reconstruction.surfaces import axes
from vecsetx.solver_files.solver_mesh import SolverMesh

__all__ = ["write_msh"]

_CELLS = {3: "tetra", 2: "triangle", 0: "vertex"}
"""Cells of each dimension."""


def write_msh(whole: SolverMesh, path: Path, space: str = "lps") -> None:
    """Write a mesh, with a physical group for each structure, interface and set of nodes.

    A structure's group has its id, and its name with the axes, such as ``LV (LPS mm)``. Interfaces
    are triangles; their groups have the ids 101, 102, … and names such as ``LV endocardium``. Sets
    of nodes are points; their groups have the ids 201, 202, … and names such as ``mitral ring``.
    Vectors are data of elements, 0 where these are no tetrahedra; coordinates are data of nodes.

    Args:
        whole: The mesh, with all that is known of it.
        path: The file.
        space: Axes of the file, ``lps`` or ``ras``.

    Raises:
        OSError: The file cannot be written completely.
    """
    mesh = whole.mesh
    # Dimension, id, name and cells of each group.
    groups = [
        (3, tag, f"{name} ({space.upper()} mm)", mesh.of_region(region))
        for region, (name, tag) in enumerate(zip(whole.names, whole.ids, strict=True), 1)
    ]
    groups += [(2, 101 + k, each.name, each.facets) for k, each in enumerate(whole.interfaces)]
    groups += [
        (0, 201 + k, name, vertices[:, None])
        for k, (name, vertices) in enumerate(whole.node_sets.items())
    ]
    tags = [np.full(len(corners), tag, dtype=np.int32) for _, tag, _, corners in groups]
    keys = np.array([(dimension, tag) for dimension, tag, _, _ in groups], dtype=np.int32)
    vectors = {
        name: [
            values[mesh.region == region] * axes(space) for region in range(1, len(whole.names) + 1)
        ]
        + [np.zeros((len(corners), 3)) for *_, corners in groups[len(whole.names) :]]
        for name, values in whole.vectors.items()
    }
    owner = _owners([corners for *_, corners in groups], len(mesh.points_mm))
    grid = meshio.Mesh(
        mesh.points_mm * axes(space),
        [(_CELLS[dimension], corners) for dimension, _, _, corners in groups],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags, **vectors},
        field_data={name: np.array([tag, dimension]) for dimension, tag, name, _ in groups},
        point_data={"gmsh:dim_tags": keys[owner], **whole.coordinates},
    )
    with written_whole(path) as unfinished:
        grid.write(unfinished, file_format="gmsh", binary=True)


def _owners(groups: Sequence[Int[np.ndarray, "c n"]], vertices: int) -> Int[np.ndarray, " v"]:
    """Return one of the groups that each vertex belongs to: the last, or one that has no other.

    Gmsh lists each node under one group, and knows only groups that have a node.
    """
    owner = np.empty(vertices, dtype=np.int64)
    for index, corners in enumerate(groups):
        owner[corners] = index
    held = np.bincount(owner, minlength=len(groups))
    for index in np.flatnonzero(held == 0).tolist():
        own = np.unique(groups[index])
        given = own[held[owner[own]].argmax()]
        held[owner[given]] -= 1
        held[index] = 1
        owner[given] = index
    return owner
