"""Tetrahedral meshes as openCARP's text files.

The formats are those of CARP (https://carpentry.medunigraz.at/getting-started/file-formats.html).
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from vecsetx.reconstruction.surfaces import axes
from vecsetx.solver_files.solver_folder import file_names, solver_folder
from vecsetx.solver_files.solver_mesh import SolverMesh

__all__ = ["write_opencarp"]

_ROWS = 10_000
"""Rows that are formatted at once: more take more memory, but no less time."""

_NOTE = (
    "Nodes are counted from 0. Triangles of a surface point from the first of its two regions to "
    "the second, or out of the heart."
)

_NO_FIBRES = (
    "The mesh has no fibres: the .lon file has the same direction for all elements, so give each "
    "region the same conductivity along and across it (g_il = g_it = g_in)."
)


def write_opencarp(whole: SolverMesh, folder: Path, space: str = "lps") -> None:
    """Write a mesh as a folder of openCARP's files, all of them or none.

    They are called after the folder: nodes (``NAME.pts``, in µm), tetrahedra with the ids of their
    structures as tags (``.elem``), fibres (``.lon``: the vectors ``fiber`` and ``sheet``),
    interfaces (``NAME.lv_endocardium.surf``), their nodes, and the mesh's node sets (``.vtx``).
    ``README.txt`` says what the files themselves cannot: unit, axes, and names.

    Args:
        whole: The mesh, with all that is known of it.
        folder: The folder.
        space: Axes of the files, ``lps`` or ``ras``.

    Raises:
        InputError: The folder holds other files than those of a former result.
        OSError: A file cannot be written completely.
    """
    mesh, signs, name = whole.mesh, axes(space), folder.name
    tags = np.array([0, *whole.ids], dtype=np.int32)[mesh.region]
    fibres, vectors = _fibres(whole, space)
    width = 3 * len(vectors)
    notes = (_NOTE, _NO_FIBRES) if "fiber" not in whole.vectors else (_NOTE,)
    sets = [(interface.name, np.unique(interface.facets)) for interface in whole.interfaces]
    sets += whole.node_sets.items()
    names = file_names([of for of, _ in sets])
    with solver_folder(folder, whole, "openCARP", "µm", space, notes) as written:
        path = written.file(f"{name}.pts", f"{len(mesh.points_mm):,} nodes")
        _write(path, f"{len(mesh.points_mm)}", "%.2f %.2f %.2f", mesh.points_mm * signs * 1000)
        path = written.file(f"{name}.elem", f"{len(tags):,} tetrahedra")
        _write(path, f"{len(tags)}", "Tt %d %d %d %d %d", mesh.tetrahedra, tags[:, None])
        path = written.file(f"{name}.lon", fibres)
        _write(path, f"{len(vectors)}", " ".join(["%.7f"] * width), *vectors)
        for plain, interface in zip(names, whole.interfaces, strict=False):
            facets = interface.facets
            holds = f"{interface.name}, {len(facets):,} triangles"
            path = written.file(f"{name}.{plain}.surf", holds)
            _write(path, f"{len(facets)}", "Tr %d %d %d", facets)
        for plain, (of, nodes) in zip(names, sets, strict=True):
            path = written.file(f"{name}.{plain}.vtx", f"{of}, {len(nodes):,} nodes")
            # "extra": the numbers are those of the whole mesh, not of its excitable part.
            _write(path, f"{len(nodes)}\nextra", "%d", nodes[:, None])


def _fibres(whole: SolverMesh, space: str) -> tuple[str, list[Float[np.ndarray, "t 3"]]]:
    """Return what the file of fibres holds, in words, and its vectors."""
    keys = [key for key in ("fiber", "sheet") if key in whole.vectors]
    if keys:
        vectors = [whole.vectors[key] * axes(space) for key in keys]
        return " and ".join(f"{key} directions" for key in keys), vectors
    # By CARP's convention, an element without a direction is of the bath, which conducts but is not
    # excited. So in a mesh without any fibres all elements get a direction, the same for all.
    same = np.broadcast_to(np.array([1.0, 0, 0]), (len(whole.mesh.tetrahedra), 3))
    return "the same direction for all elements", [same]


def _write(path: Path, head: str, row: str, *columns: Shaped[np.ndarray, "n _"]) -> None:
    """Write a line, and a row for each row of all columns side by side."""
    with open(path, "wb") as file:
        file.write(f"{head}\n".encode())
        for first in range(0, len(columns[0]), _ROWS):
            part = np.concatenate([column[first : first + _ROWS] for column in columns], axis=1)
            # Formatting many rows by one template takes a quarter of the time of np.savetxt.
            file.write(((f"{row}\n" * len(part)) % tuple(part.ravel().tolist())).encode())
