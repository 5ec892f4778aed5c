"""VTP files: points, faces and data of a surface, each checked before it is used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element
from zlib import error as ZlibError

import numpy as np
from jaxtyping import Float, Int

from vecsetx.errors import InputError
from vecsetx.formats.vtp.arrays import ArrayReader, whole_number
from vecsetx.limits import MESH_BYTES
from vecsetx.plain_data import PlainDataError, parse_xml
from vecsetx.special_files import check_no_device

__all__ = ["Polydata", "read_polydata"]

_APPENDED = re.compile(rb"<AppendedData\b[^<>]*>\s*_")
_WANTED = ("structure", "label", "observed")
"""Names of the point data that are read."""


@dataclass(frozen=True, slots=True)
class Polydata:
    """The content of a VTP file.

    Attributes:
        points: ``[N, 3]`` float64, as stored.
        faces: ``[F, 3]`` int64; polygons and strips are split into triangles.
        data: Name → a number or a text for each point.
        space: The space that the field data ``SPACE`` names, as in 3D Slicer, or None.
    """

    points: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    data: Mapping[str, list[str] | np.ndarray]
    space: str | None


def read_polydata(path: Path) -> Polydata:
    """Read a ``.vtp`` file.

    Raises:
        InputError: The file is missing or damaged, or a face refers to a point that does not exist.
    """
    check_no_device(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if path.stat().st_size > MESH_BYTES:
            raise ValueError(f"it has over {MESH_BYTES} bytes")
        root, arrays = _opened(path.read_bytes())
        polydata = root.find("PolyData")
        if root.tag != "VTKFile" or polydata is None:
            raise ValueError("it is no VTKFile of type PolyData")
        pieces = [_piece(piece, arrays) for piece in polydata.findall("Piece")]
        if not pieces:
            raise ValueError("it has no Piece")
        return _joined(pieces, _space(polydata, arrays))
    except (OSError, ValueError, PlainDataError, ZlibError, LZMAError) as error:
        raise InputError(f"{path}: cannot be read as VTP ({error}); export it again") from error


def _opened(content: bytes) -> tuple[Element, ArrayReader]:
    """Return the root element, and the reader for arrays."""
    appended, is_raw = b"", False
    if begin := _APPENDED.search(content):
        is_raw = b'"raw"' in begin[0]
        end = content.rfind(b"</AppendedData")
        appended = content[begin.end() : end if end > begin.end() else None]
        # What is raw is no XML.
        content = content[: begin.end() - 1] + b"</AppendedData></VTKFile>"
    root = parse_xml(content)
    return root, ArrayReader.of(root, appended, is_raw)


def _piece(piece: Element, arrays: ArrayReader) -> Polydata:
    count = whole_number(piece.get("NumberOfPoints"), "NumberOfPoints")
    points = np.empty((0, 3))
    if count:
        array = piece.find("Points/DataArray")
        if array is None:
            raise ValueError("it has no points")
        points = arrays.read(array, count).astype(np.float64)
        if points.shape[1] != 3:
            raise ValueError(f"its points have {points.shape[1]} coordinates")
    polygons, strips = (_cells(piece, kind, arrays, count) for kind in ("Polys", "Strips"))
    data: dict[str, list[str] | np.ndarray] = {}
    for array in piece.findall("PointData/*"):
        if (name := array.get("Name")) in _WANTED and name is not None:
            is_text = array.get("type") == "String"
            data[name] = (
                _texts(array, arrays, count) if is_text else arrays.read(array, count)[:, 0]
            )
    return Polydata(points, _triangles(points, polygons, strips), data, None)


def _cells(
    piece: Element, kind: str, arrays: ArrayReader, points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of cells, one after the other, and where each cell begins and ends."""
    count = whole_number(piece.get(f"NumberOf{kind}"), f"NumberOf{kind}")
    found = {array.get("Name"): array for array in piece.findall(f"{kind}/DataArray")}
    if count == 0:
        return np.empty(0, np.int64), np.zeros(1, np.int64)
    if not {"connectivity", "offsets"} <= found.keys():
        raise ValueError(f"its {kind} have no connectivity or no offsets")
    ends = arrays.read(found["offsets"], count)[:, 0].astype(np.int64)
    ends = np.concatenate([[0], ends])
    corners = arrays.read(found["connectivity"]).astype(np.int64)
    if (np.diff(ends) < 0).any() or ends[-1] != len(corners):
        raise ValueError(f"the offsets of its {kind} do not fit their connectivity")
    if len(corners) and (corners.min() < 0 or corners.max() >= points):
        raise ValueError("a face refers to a vertex that does not exist")
    return corners, ends


def _triangles(
    points: np.ndarray,
    polygons: tuple[np.ndarray, np.ndarray],
    strips: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Split polygons and strips, whose corners exist, into triangles."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter

    if (np.diff(polygons[1]) == 3).all() and len(strips[0]) == 0:
        return polygons[0].reshape(-1, 3)
    if any((np.diff(ends) < 3).any() for _, ends in (polygons, strips)):
        raise ValueError("a face has fewer than 3 corners")
    polydata = vtkPolyData()
    vertices = vtkPoints()
    vertices.SetData(numpy_to_vtk(points))
    polydata.SetPoints(vertices)
    polydata.SetPolys(_cell_array(*polygons))
    polydata.SetStrips(_cell_array(*strips))
    triangles = vtkTriangleFilter()
    triangles.SetInputData(polydata)
    triangles.Update()
    cells = triangles.GetOutput().GetPolys()
    if cells.GetNumberOfCells() == 0:
        return np.empty((0, 3), np.int64)
    return vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)


def _cell_array(corners: np.ndarray, ends: np.ndarray) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray

    cells = vtkCellArray()
    cells.SetData(numpy_to_vtkIdTypeArray(ends, True), numpy_to_vtkIdTypeArray(corners, True))
    return cells


def _texts(array: Element, arrays: ArrayReader, count: int) -> list[str]:
    """Return the texts of an array, each of which a zero ends.

    Raises:
        ValueError: There are more or fewer.
    """
    texts = arrays.read(array).tobytes().decode("utf-8", "replace").split("\0")[:-1]
    if len(texts) != count:
        raise ValueError(f"array {array.get('Name')!r} has {len(texts)} texts, not {count}")
    return [text.strip() for text in texts]


def _space(polydata: Element, arrays: ArrayReader) -> str | None:
    stated = [
        _texts(array, arrays, 1)[0]
        for array in polydata.findall("FieldData/*")
        if array.get("Name") == "SPACE" and array.get("type") == "String"
    ]
    if len({space.lower() for space in stated}) > 1:
        raise ValueError(f"it states several spaces: {', '.join(stated)}")
    return stated[0] if stated else None


def _joined(pieces: Sequence[Polydata], space: str | None) -> Polydata:
    """Return several pieces as one; point data that a piece lacks are left out."""
    starts = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    data: dict[str, list[str] | np.ndarray] = {}
    for name in _WANTED:
        parts = [piece.data[name] for piece in pieces if name in piece.data]
        if len(parts) == len(pieces):
            numbers = [part for part in parts if isinstance(part, np.ndarray)]
            data[name] = (
                np.concatenate(numbers)
                if len(numbers) == len(parts)
                else [str(value) for part in parts for value in part]
            )
    return Polydata(
        np.concatenate([piece.points for piece in pieces]),
        np.concatenate([p.faces + start for p, start in zip(pieces, starts, strict=False)]),
        data,
        space,
    )
