"""Closed surface meshes of structures, converted to RAS+ mm and checked for enclosing a volume.

Programs write meshes in LPS+ or RAS+ mm, and few formats record which. As in 3D Slicer, an entry
``SPACE=LPS`` or ``SPACE=RAS`` in the header (STL), a comment (PLY, OBJ) or field data (VTP) is
honoured. The two differ by a rotation of 180° about the S axis, so faces keep their orientation.
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
"""File extensions of the supported mesh formats."""

_RAS_FROM = {"lps": np.array([-1.0, -1.0, 1.0]), "ras": np.ones(3)}  # factors per axis
_HEADER_BYTES = 1 << 14  # enough for the header and comments
_VTK_OUTPUT = Lock()  # VTK has one output window for all threads
_TAG = re.compile(rb"SPACE\s*=\s*(LPS|RAS)\b", re.IGNORECASE)


def is_mesh(path: Path) -> bool:
    """Return whether the file has the extension of a supported mesh format."""
    return path.name.lower().endswith(MESH_ENDINGS)


def read_mesh(
    path: Path, space: str = "lps"
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Read a closed surface.

    Vertices at the same position are merged, because STL repeats them for every face.

    Args:
        path: ``.vtp``, ``.stl``, ``.ply`` or ``.obj``; polygons are split into triangles.
        space: Axes of the coordinates, ``lps`` or ``ras``, if the file does not specify them.

    Returns:
        Vertices in RAS+ mm, and faces with corners in counterclockwise order seen from outside.

    Raises:
        InputError: The file is missing or unreadable, or its surface is empty, not finite, not
            closed or not facing outwards.
    """
    vertices, faces, tag = _read_vtp(path) if path.suffix.lower() == ".vtp" else _read_plain(path)
    if len(faces) == 0:
        raise InputError(f"{path}: contains no faces; export the surface again")
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
        raise InputError(
            f"{path}: vertex {row} is not finite ({vertices[row].tolist()}); export it again"
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to a vertex that does not exist; export it again")
    vertices, faces = _merged(vertices * ras_factors(tag or space, path), faces)
    _check_closed(vertices, faces, path)
    return vertices, faces


def ras_factors(space: str, source: Path) -> np.ndarray:
    """Return the factors ``[3]`` that convert coordinates in ``space`` to RAS+.

    Args:
        space: ``lps`` or ``ras``, in any case.
        source: The file, for error messages.

    Raises:
        InputError: The space is neither.
    """
    if space.lower() not in _RAS_FROM:
        raise InputError(f"{source}: unknown space {space!r}; coordinates are in lps or ras")
    return _RAS_FROM[space.lower()]


def _check_closed(vertices: np.ndarray, faces: np.ndarray, source: Path) -> None:
    """Check that a mesh encloses a volume: closed, consistently oriented and facing outwards.

    Surfaces may touch themselves along an edge. They may enclose cavities, whose faces point into
    the cavity.

    Raises:
        InputError: The mesh fails a check; the message says how to repair it.
    """
    # Number the edges, the same in either direction.
    start, end = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    edge = np.minimum(start, end).astype(np.int64) * len(vertices) + np.maximum(start, end)
    _, which, count = np.unique(edge, return_inverse=True, return_counts=True)
    if opened := int((count % 2 != 0).sum()):
        raise InputError(
            f"{source}: the surface is open, {opened} of {len(count)} edges belong to only one "
            "face; close its holes, including cut vessel ends"
        )
    # In an oriented surface, every edge is used equally often in both directions.
    forth = np.bincount(which, start < end)
    if turned := int((2 * forth != count).sum()):
        raise InputError(
            f"{source}: adjacent faces have opposite orientations along {turned} edges; make the "
            "normals consistent"
        )
    _check_outward(vertices, faces, source)


def _check_outward(vertices: np.ndarray, faces: np.ndarray, source: Path) -> None:
    links = coo_array(
        (np.ones(2 * len(faces), bool), faces[:, [0, 1, 1, 2]].reshape(-1, 2).T),
        shape=(len(vertices), len(vertices)),
    )
    component_of_face = connected_components(links, directed=False)[1][faces[:, 0]]
    # Signed volumes by the divergence theorem: negative for components that point inwards.
    corners = vertices[faces] - vertices.mean(axis=0)
    tetrahedra = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    volumes = np.bincount(component_of_face, tetrahedra)
    components = np.unique(component_of_face)
    if (volumes[components] <= 0).all():
        raise InputError(
            f"{source}: all faces point inwards; flip the normals or, if an axis has the wrong "
            "sign and the heart is mirrored, mirror it back"
        )
    if len(components) == 1:
        return
    for number in components:
        own = component_of_face == number
        around = _winding(vertices[faces[own][0, 0]], vertices[faces[~own]])
        # A solid lies in no other component, and a cavity in exactly one. At one half they touch.
        if volumes[number] > 0 and around > 0.75:
            raise InputError(
                f"{source}: a component of {volumes[number] / 1000:.3g} ml lies inside another and "
                "also points outwards; flip it if it bounds a cavity, otherwise merge the two"
            )
        if volumes[number] < 0 and around < 0.25:
            raise InputError(
                f"{source}: a component of {-volumes[number] / 1000:.3g} ml points inwards and "
                "lies in no other; flip its normals"
            )


def _winding(point: np.ndarray, triangles: np.ndarray) -> float:
    """Return the winding number of triangles ``[F, 3, 3]`` around a point.

    From their solid angles (van Oosterom and Strackee, IEEE TBME 1983).
    """
    a, b, c = np.moveaxis(triangles - point, 1, 0)
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    dot = np.einsum
    spanned = dot("fi,fi->f", a, np.cross(b, c))
    below = la * lb * lc
    below += dot("fi,fi->f", a, b) * lc + dot("fi,fi->f", b, c) * la + dot("fi,fi->f", c, a) * lb
    return float(np.arctan2(spanned, below).sum() / (2 * np.pi))


def _merged(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge vertices at the same position, and drop the faces that this collapses."""
    vertices = vertices + 0.0  # −0 becomes 0
    order = np.lexsort(vertices.T)  # brings equal positions together
    placed = vertices[order]
    is_new = np.concatenate([[True], (placed[1:] != placed[:-1]).any(axis=1)])
    number = np.empty(len(vertices), np.int64)
    number[order] = np.cumsum(is_new) - 1
    faces = number[faces]
    a, b, c = faces.T
    return placed[is_new], faces[(a != b) & (b != c) & (c != a)]


def _read_plain(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Read vertices, faces and the space named in the header of an STL, PLY or OBJ file."""
    if not is_mesh(path):
        raise InputError(f"{path}: unsupported mesh format; give {', '.join(MESH_ENDINGS)}")
    import trimesh  # here, because it takes a second to import and label maps do not need it

    try:
        with open(path, "rb") as file:
            head = file.read(_HEADER_BYTES)
        if path.suffix.lower() == ".stl":
            _check_stl(path, head)
        mesh: Any = trimesh.load_mesh(path, process=False, maintain_order=True)
        vertices = np.array(mesh.vertices, np.float64)
        faces = np.array(mesh.faces, np.int64).reshape(-1, 3)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # for damaged files, trimesh passes on any error of numpy
        raise InputError(f"{path}: cannot be read as a mesh ({error}); export it again") from error
    tag = _TAG.search(_header(head, path.suffix.lower()))
    return vertices.reshape(-1, 3), faces, tag[1].decode() if tag else None


def _check_stl(path: Path, head: bytes) -> None:
    faces = int.from_bytes(head[80:84], "little")
    # Binary STL: 80 bytes of text, the number of faces, 50 bytes per face. ASCII STL has "facet".
    found = (path.stat().st_size - 84) // 50
    if b"facet" not in head and found != faces:
        raise InputError(
            f"{path}: truncated or not an STL file ({max(found, 0)} of {faces} faces found); copy "
            "or export it again"
        )


def _header(head: bytes, suffix: str) -> bytes:
    """Return the part of a file's first bytes that may name a space."""
    if suffix == ".stl":
        return head[:80]
    if suffix == ".ply":
        return head.split(b"end_header")[0]
    return b"\n".join(line for line in head.splitlines() if line.startswith(b"#"))


def read_polydata(path: Path) -> Any:
    """Read a ``.vtp`` file as VTK polydata, with VTK's errors as :class:`InputError`.

    Raises:
        InputError: The file is missing or unreadable.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    # VTK's parser reports errors only to VTK's output window and to its log, on the terminal.
    captured = vtkStringOutputWindow()
    with _VTK_OUTPUT:
        window, verbosity = vtkOutputWindow.GetInstance(), vtkLogger.GetCurrentVerbosityCutoff()
        vtkOutputWindow.SetInstance(captured)
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        try:
            reader.Update()
        finally:
            vtkOutputWindow.SetInstance(window)
            vtkLogger.SetStderrVerbosity(verbosity)
    if output := captured.GetOutput().strip():
        message = re.search(r"\(0x[0-9a-f]+\): (.*)", output)
        reason = message[1] if message else output.splitlines()[0]
        raise InputError(f"{path}: cannot be read as VTP ({reason}); export it again")
    return reader.GetOutput()


def polydata_space(polydata: Any) -> str | None:
    """Return the space that the field data ``SPACE`` names, as in 3D Slicer, or None."""
    named = polydata.GetFieldData().GetAbstractArray("SPACE")
    return named.GetVariantValue(0).ToString() if named and named.GetNumberOfValues() else None


def polydata_points(polydata: Any) -> np.ndarray:
    """Return the points ``[N, 3]`` as stored, float64."""
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
