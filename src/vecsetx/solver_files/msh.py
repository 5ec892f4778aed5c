"""Tetrahedral meshes as Gmsh's files (``.msh`` 4.1), which FEniCSx, FEBio Studio and Gmsh read."""

from pathlib import Path

import meshio
import numpy as np

from vecsetx.files import written_whole
from vecsetx.reconstruction.surfaces import axes
from vecsetx.solver_files.solver_mesh import SolverMesh

__all__ = ["write_msh"]


def write_msh(whole: SolverMesh, path: Path, space: str = "lps") -> None:
    """Write a mesh, with a physical group for each structure and each interface.

    A structure's group has its id, and its name with the axes, such as ``LV (LPS mm)``. Interfaces
    are triangles; their groups have the ids 101, 102, … and names such as ``LV endocardium``.
    Vectors and coordinates are data of elements and of nodes; of interfaces' triangles they are 0.

    Args:
        whole: The mesh, with all that is known of it.
        path: The file.
        space: Axes of the file, ``lps`` or ``ras``.

    Raises:
        OSError: The file cannot be written completely.
    """
    mesh, ids, interfaces = whole.mesh, whole.ids, whole.interfaces
    groups = {
        f"{name} ({space.upper()} mm)": np.array([number, 3])
        for name, number in zip(whole.names, ids, strict=True)
    }
    groups |= {
        interface.name: np.array([101 + index, 2]) for index, interface in enumerate(interfaces)
    }
    cells, tags = [], []
    data: dict[str, list[np.ndarray]] = {name: [] for name in whole.vectors}
    # Gmsh lists each node under one of the entities that it lies on: an interface, if there is one.
    entity = np.empty((len(mesh.points_mm), 2), dtype=np.int32)
    for region, number in enumerate(ids, 1):
        entity[mesh.of_region(region)] = 3, number
    for index, interface in enumerate(interfaces):
        cells.append(("triangle", interface.facets))
        tags.append(np.full(len(interface.facets), 101 + index, dtype=np.int32))
        entity[interface.facets] = 2, 101 + index
        for of_blocks in data.values():
            of_blocks.append(np.zeros((len(interface.facets), 3)))
    for region, number in enumerate(ids, 1):
        own = mesh.of_region(region)
        cells.append(("tetra", own))
        tags.append(np.full(len(own), number, dtype=np.int32))
        for name, vectors in whole.vectors.items():
            data[name].append(vectors[mesh.region == region] * axes(space))
    grid = meshio.Mesh(
        mesh.points_mm * axes(space),
        cells,
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags, **data},
        field_data=groups,
        point_data={"gmsh:dim_tags": entity, **whole.coordinates},
    )
    with written_whole(path) as unfinished:
        grid.write(unfinished, file_format="gmsh", binary=True)
