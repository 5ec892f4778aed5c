"""Mesh files of single structures, as closed meshes in RAS+ mm.

Programs write meshes in LPS+ or RAS+, and few formats record which. As in 3D Slicer, an entry
``SPACE=LPS`` or ``SPACE=RAS`` in the header (STL), a comment (PLY, OBJ) or field data (VTP) is
honoured. The two differ by a rotation of 180° about the S axis, so faces keep their orientation.
No format records the unit.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.anatomy.size import mm_per
from vecsetx.errors import InputError
from vecsetx.formats.closed_mesh import ClosedMesh, closed_mesh
from vecsetx.formats.mesh_text import check_ascii_ply, check_ascii_stl, plain_obj
from vecsetx.formats.quiet import quiet_libraries
from vecsetx.formats.vtp.polydata import read_polydata
from vecsetx.limits import MESH_BYTES
from vecsetx.special_files import check_no_device

MESH_ENDINGS = (".vtp", ".stl", ".ply", ".obj")
"""File extensions of the supported mesh formats."""

_RAS_FROM = {"lps": np.array([-1.0, -1.0, 1.0]), "ras": np.ones(3)}  # factors per axis
_FARTHEST = 1e12  # in any unit; volumes of such lengths stay finite
_HEADER_BYTES = 1 << 14  # enough for the header and comments
_INFERRED = re.compile(rb"\binferred=(\d{1,3})%")  # as vecsetx reconstruct states it
_TAG = re.compile(rb"SPACE\s*=\s*(LPS|RAS)\b", re.IGNORECASE)


def is_mesh(path: Path) -> bool:
    """Return whether the file has the extension of a supported mesh format."""
    return path.name.lower().endswith(MESH_ENDINGS)


def read_mesh(path: Path, space: str = "lps", units: str = "mm") -> ClosedMesh:
    """Read a closed surface; see :func:`~vecsetx.formats.closed_mesh.closed_mesh`.

    Args:
        path: ``.vtp``, ``.stl``, ``.ply`` or ``.obj``; polygons are split into triangles.
        space: Axes of the coordinates, ``lps`` or ``ras``, if the file does not specify them.
        units: Unit of the coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.

    Raises:
        InputError: The file is missing or unreadable, or its surface is empty, not finite, not
            closed, flat, or faces both inwards and outwards.
    """
    mm = mm_per(units, path)
    check_no_device(path)
    read = _read_vtp if path.suffix.lower() == ".vtp" else _read_plain
    vertices, faces, tag, inferred_share = read(path)
    if len(faces) == 0:
        raise InputError(f"{path}: contains no faces; export the surface again")
    within = (np.abs(vertices) < _FARTHEST).all(axis=1)  # not so for NaN
    if not within.all():
        row = int(np.flatnonzero(~within)[0])
        raise InputError(
            f"{path}: vertex {row} is not finite or beyond {_FARTHEST:g} "
            f"({vertices[row].tolist()}); export it again"
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to a vertex that does not exist; export it again")
    closed = closed_mesh(vertices * (mm * ras_factors(tag or space, path)), faces, path)
    return replace(closed, inferred_share=inferred_share)


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


def stated_space(stated: Sequence[str], source: Path) -> str | None:
    """Return the space that a file states; None if it states none.

    Args:
        stated: Every space that it states.
        source: The file, for error messages.

    Raises:
        InputError: It states several.
    """
    spaces = sorted({space.lower() for space in stated})
    if len(spaces) > 1:
        raise InputError(
            f"{source}: states several spaces ({', '.join(spaces)}); keep the line of the right one"
        )
    return stated[0] if stated else None


def _read_plain(path: Path) -> tuple[np.ndarray, np.ndarray, str | None, float]:
    """Read vertices, faces and the space named in the header of an STL, PLY or OBJ file.

    The last value is the share of the surface that a model has inferred, if the header says so.
    """
    if not is_mesh(path):
        raise InputError(f"{path}: unsupported mesh format; give {', '.join(MESH_ENDINGS)}")
    import trimesh  # here, because it takes a second to import and label maps do not need it

    try:
        check_mesh_size(path)
        content = path.read_bytes()
        head = content[:_HEADER_BYTES]
        if path.suffix.lower() == ".stl":
            _check_stl(path, content, head)
        elif path.suffix.lower() == ".ply":
            check_ascii_ply(content, path)
        else:
            content = plain_obj(content, path)
        with quiet_libraries("trimesh"):
            # From bytes, trimesh finds no other files that these name, as of textures.
            mesh: Any = trimesh.load_mesh(
                BytesIO(content), path.suffix[1:].lower(), process=False, maintain_order=True,
                skip_materials=True,
            )  # fmt: skip
            vertices = np.array(mesh.vertices, np.float64)
            faces = np.array(mesh.faces, np.int64).reshape(-1, 3)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # for damaged files, trimesh passes on any error of numpy
        raise InputError(f"{path}: cannot be read as a mesh ({error}); export it again") from error
    stated = _header(head, path.suffix.lower())
    space = stated_space([tag.decode() for tag in _TAG.findall(stated)], path)
    share = _INFERRED.search(stated)
    return vertices.reshape(-1, 3), faces, space, int(share[1]) / 100 if share else 0.0


def check_mesh_size(path: Path, most: int = MESH_BYTES) -> None:
    """Check the size of a file of a mesh or of points.

    Args:
        path: The file.
        most: Its largest size, in bytes.

    Raises:
        InputError: It is too large, or a pipe or device.
        OSError: It is missing.
    """
    check_no_device(path)
    if path.stat().st_size > most:
        raise InputError(f"{path}: has over {most} bytes; give a smaller file")


def _check_stl(path: Path, content: bytes, head: bytes) -> None:
    faces = int.from_bytes(head[80:84], "little")
    # Binary STL: 80 bytes of text, the number of faces, 50 bytes per face. ASCII STL has "facet".
    found = (len(content) - 84) // 50
    if b"facet" in head:
        check_ascii_stl(content, path)
    elif found != faces:
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


def _read_vtp(path: Path) -> tuple[np.ndarray, np.ndarray, str | None, float]:
    polydata = read_polydata(path)
    observed = polydata.data.get("observed")
    inferred_share = 0.0
    if isinstance(observed, np.ndarray) and len(observed) > 0:
        inferred_share = 1 - np.count_nonzero(observed) / len(observed)
    return polydata.points, polydata.faces, polydata.space, inferred_share
