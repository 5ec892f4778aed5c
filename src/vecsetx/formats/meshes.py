"""Closed surface meshes of structures, read into RAS+ mm and checked for having an inside.

Programs write meshes in LPS+ or in RAS+ mm and few formats say which. A ``SPACE=LPS`` or
``SPACE=RAS`` in the header (STL), a comment (PLY, OBJ) or field data (VTP) is honoured, as 3D
Slicer does. From one to the other is half a turn about the long axis: faces keep their orientation.
"""

import re
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow
from vtkmodules.vtkFiltersCore import vtkTriangleFilter
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx.errors import InputError

MESH_ENDINGS = (".vtp", ".stl", ".ply", ".obj")
"""Endings of the mesh files that can be read."""

SPACES = {"lps": np.array([-1.0, -1.0, 1.0]), "ras": np.ones(3)}
"""Axes that coordinates are written in → factors that make them RAS+."""

_HEAD = 1 << 14
_WINDOW = Lock()  # VTK has one window of errors for all threads
_TAG = re.compile(rb"SPACE\s*=\s*(LPS|RAS)\b", re.IGNORECASE)


def is_mesh(path: Path) -> bool:
    """Whether the file's name ends as those of readable meshes do."""
    return path.name.lower().endswith(MESH_ENDINGS)


def read_mesh(
    path: Path, space: str = "lps"
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Read a closed surface.

    Vertices at the same place are made one, as STL repeats them for every face.

    Args:
        path: ``.vtp``, ``.stl``, ``.ply`` or ``.obj``; polygons are cut into triangles.
        space: Axes of the coordinates, ``lps`` or ``ras``, if the file does not say.

    Returns:
        Vertices in RAS+ mm, and faces whose corners run anticlockwise as seen from outside.

    Raises:
        InputError: The file is missing or unreadable, or its surface is empty, not finite, not
            closed or not facing outwards.
    """
    vertices, faces, tag = _read_vtp(path) if path.suffix.lower() == ".vtp" else _read_plain(path)
    if len(faces) == 0:
        raise InputError(f"{path}: holds no faces; export the surface anew")
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
        raise InputError(
            f"{path}: vertex {row} is not finite ({vertices[row].tolist()}); export it anew"
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face names a vertex that is not there; export it anew")
    vertices, faces = _joined(vertices * axes_to_ras(tag or space, path), faces)
    check_closed(vertices, faces, path)
    return vertices, faces


def axes_to_ras(space: str, source: Path) -> np.ndarray:
    """Factors ``[3]`` that make coordinates in ``space`` (lps or ras, any case) RAS+."""
    if space.lower() not in SPACES:
        raise InputError(f"{source}: no space is called {space!r}; coordinates are in lps or ras")
    return SPACES[space.lower()]


def check_closed(vertices: np.ndarray, faces: np.ndarray, source: Path) -> None:
    """See that a mesh has an inside: closed, oriented alike, and facing outwards.

    Surfaces may touch themselves along an edge, and enclose hollows, whose faces point into the
    hollow.

    Raises:
        InputError: With what is wrong and how to mend it.
    """
    start, end = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    edge = np.minimum(start, end).astype(np.int64) * len(vertices) + np.maximum(start, end)
    _, which, count = np.unique(edge, return_inverse=True, return_counts=True)
    if opened := int((count % 2 != 0).sum()):
        raise InputError(
            f"{source}: the surface is open, {opened} of {len(count)} edges belong to one face "
            "only; close its holes (cut vessels too) before preparing it"
        )
    forth = np.bincount(which, start < end)
    if turned := int((2 * forth != count).sum()):
        raise InputError(
            f"{source}: neighbouring faces are oriented against each other along {turned} edges; "
            "make the normals consistent before preparing it"
        )
    _check_outward(vertices, faces, source)


def _check_outward(vertices: np.ndarray, faces: np.ndarray, source: Path) -> None:
    links = coo_array(
        (np.ones(2 * len(faces), bool), faces[:, [0, 1, 1, 2]].reshape(-1, 2).T),
        shape=(len(vertices), len(vertices)),
    )
    piece = connected_components(links, directed=False)[1][faces[:, 0]]
    corners = vertices[faces] - vertices.mean(axis=0)
    spanned = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    volumes = np.bincount(piece, spanned)
    pieces = np.unique(piece)
    if (volumes[pieces] <= 0).all():
        raise InputError(
            f"{source}: all faces look inwards; flip the normals, or, if the heart was mirrored "
            "on its way here (an axis with the wrong sign), mirror it back"
        )
    if len(pieces) == 1:
        return
    for number in pieces:
        own = piece == number
        around = _winding(vertices[faces[own][0, 0]], vertices[faces[~own]])
        # A solid lies in no other, and a hollow in exactly one. At one half they touch.
        if volumes[number] > 0 and around > 0.75:
            raise InputError(
                f"{source}: a piece of {volumes[number] / 1000:.3g} ml lies inside another and "
                "looks outwards too; turn it if it bounds a hollow, else join the two"
            )
        if volumes[number] < 0 and around < 0.25:
            raise InputError(
                f"{source}: a piece of {-volumes[number] / 1000:.3g} ml looks inwards and lies in "
                "no other; flip its normals"
            )


def _winding(point: np.ndarray, triangles: np.ndarray) -> float:
    """How often triangles ``[F, 3, 3]`` wind around a point (van Oosterom and Strackee, 1983)."""
    a, b, c = np.moveaxis(triangles - point, 1, 0)
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    dot = np.einsum
    spanned = dot("fi,fi->f", a, np.cross(b, c))
    below = la * lb * lc
    below += dot("fi,fi->f", a, b) * lc + dot("fi,fi->f", b, c) * la + dot("fi,fi->f", c, a) * lb
    return float(np.arctan2(spanned, below).sum() / (2 * np.pi))


def _joined(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with vertices at the same place made one, without faces that this makes lines."""
    vertices = vertices + 0.0  # −0 becomes 0
    order = np.lexsort(vertices.T)
    placed = vertices[order]
    is_new = np.concatenate([[True], (placed[1:] != placed[:-1]).any(axis=1)])
    number = np.empty(len(vertices), np.int64)
    number[order] = np.cumsum(is_new) - 1
    faces = number[faces]
    a, b, c = faces.T
    return placed[is_new], faces[(a != b) & (b != c) & (c != a)]


def _read_plain(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Vertices, faces and the space named in the head of an STL, PLY or OBJ file."""
    if not is_mesh(path):
        raise InputError(f"{path}: is no mesh that can be read; give {', '.join(MESH_ENDINGS)}")
    import trimesh  # here, because it takes a second and label maps do not need it

    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
        if path.suffix.lower() == ".stl":
            _check_stl(path, head)
        mesh: Any = trimesh.load_mesh(path, process=False, maintain_order=True)
        vertices = np.array(mesh.vertices, np.float64)
        faces = np.array(mesh.faces, np.int64).reshape(-1, 3)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # trimesh passes on whatever a damaged file makes numpy raise
        raise InputError(f"{path}: cannot be read as a mesh, so export it anew: {error}") from error
    tag = _TAG.search(_header(head, path.suffix.lower()))
    return vertices.reshape(-1, 3), faces, tag[1].decode() if tag else None


def _check_stl(path: Path, head: bytes) -> None:
    faces = int.from_bytes(head[80:84], "little")
    found = (path.stat().st_size - 84) // 50
    if b"facet" not in head and found != faces:
        raise InputError(
            f"{path}: is cut short or no STL, {faces} faces are said to be there, "
            f"{max(found, 0)} are; copy or export it anew"
        )


def _header(head: bytes, suffix: str) -> bytes:
    """The part of a file's head in which a space may be named."""
    if suffix == ".stl":
        return head[:80]
    if suffix == ".ply":
        return head.split(b"end_header")[0]
    return b"\n".join(line for line in head.splitlines() if line.startswith(b"#"))


def read_polydata(path: Path) -> Any:
    """Read a ``.vtp`` file as VTK's polydata, with its errors as ours.

    Raises:
        InputError: The file is missing or unreadable.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    # VTK's parser says what is wrong only to VTK's window of errors and its log: the terminal.
    heard = vtkStringOutputWindow()
    with _WINDOW:
        usual, verbosity = vtkOutputWindow.GetInstance(), vtkLogger.GetCurrentVerbosityCutoff()
        vtkOutputWindow.SetInstance(heard)
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        try:
            reader.Update()
        finally:
            vtkOutputWindow.SetInstance(usual)
            vtkLogger.SetStderrVerbosity(verbosity)
    if complaint := heard.GetOutput().strip():
        said = re.search(r"\(0x[0-9a-f]+\): (.*)", complaint)
        why = said[1] if said else complaint.splitlines()[0]
        raise InputError(f"{path}: cannot be read as VTP, so export it anew: {why}")
    return reader.GetOutput()


def polydata_space(polydata: Any) -> str | None:
    """The space that field data ``SPACE`` names, as 3D Slicer has it, or None."""
    named = polydata.GetFieldData().GetAbstractArray("SPACE")
    return named.GetVariantValue(0).ToString() if named and named.GetNumberOfValues() else None


def polydata_points(polydata: Any) -> np.ndarray:
    """Its points ``[N, 3]``, float64, as stored."""
    if polydata.GetNumberOfPoints() == 0:
        return np.empty((0, 3))
    return vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float64)


def _read_vtp(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    polydata = read_polydata(path)
    triangles = vtkTriangleFilter()
    triangles.SetInputData(polydata)
    triangles.PassVertsOff()
    triangles.PassLinesOff()
    triangles.Update()
    cells = triangles.GetOutput().GetPolys()
    if cells.GetNumberOfCells() == 0:
        return np.empty((0, 3)), np.empty((0, 3), np.int64), None
    faces = vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    return polydata_points(triangles.GetOutput()), faces, polydata_space(polydata)
