"""Samples: a prepared heart, and its file.

A heart's file is a safetensors file of three float32 tensors: ``surface``, ``near`` and ``volume``.
Each row holds a point and its properties, in the order of the fields of :class:`SurfacePoints` or
:class:`QueryPoints`. The rows are in random order, so that a random sample for training is a slice
of each tensor. All coordinates are RAS+ mm; the metadata contains the frame. Each point's distance
to the edge of the field of view determines which of its distances can be trusted.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Integer
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import DamagedError, InputError
from vecsetx.files import written_whole
from vecsetx.plain_data import PlainDataError, is_whole_number, parse_json
from vecsetx.sampling.heart_info import HeartInfo
from vecsetx.schemas import check_schema
from vecsetx.special_files import check_no_device

__all__ = [
    "HeartInfo",
    "QueryPoints",
    "Samples",
    "SamplesFile",
    "SurfacePoints",
    "write_samples",
]

_SCHEMA = 4
"""Version of the file format; other versions are rejected."""


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """Points on the structures' surfaces.

    Attributes:
        points_mm: ``[N, 3]`` float32.
        structure: ``[N]`` uint8, the index 0…K−1 of the structure on whose surface the point was
            sampled. A wall between two structures is sampled from both sides.
        normals: ``[N, 3]`` float32 unit normals, pointing out of that structure.
        distances_mm: ``[N, K]`` float32 signed distances to all structures.
        edge_mm: ``[N]`` float32 distance to the edge of the field of view, ≤ 0 outside, ``+inf`` if
            the source has no edge.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Integer[np.ndarray, " n"]
    normals: Float[np.ndarray, "n 3"]
    distances_mm: Float[np.ndarray, "n k"]
    edge_mm: Float[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class QueryPoints:
    """Points in space.

    Attributes:
        points_mm: ``[N, 3]`` float32.
        distances_mm: ``[N, K]`` float32 signed distances to all structures.
        edge_mm: ``[N]`` float32 distance to the edge of the field of view, ≤ 0 outside, ``+inf`` if
            the source has no edge.
    """

    points_mm: Float[np.ndarray, "n 3"]
    distances_mm: Float[np.ndarray, "n k"]
    edge_mm: Float[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Samples:
    """A prepared heart: three sets of points, and metadata.

    Attributes:
        surface: Points on the structures' surfaces.
        near: Points near the surfaces.
        volume: Points in the whole domain and inside the structures.
        info: The metadata.
    """

    surface: SurfacePoints
    near: QueryPoints
    volume: QueryPoints
    info: HeartInfo


_GROUPS: Mapping[str, type[SurfacePoints] | type[QueryPoints]] = {
    "surface": SurfacePoints,
    "near": QueryPoints,
    "volume": QueryPoints,
}
_STORED = np.dtype("<f4")

_Points = TypeVar("_Points", SurfacePoints, QueryPoints)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of a group's tensor.

    Attributes:
        columns: Columns of each field: a slice, or the index of a single column.
        width: Total number of columns.
    """

    columns: Mapping[str, slice | int]
    width: int

    @classmethod
    def of_group(cls, group: str, structures: int) -> "_Layout":
        """Lay out the fields of a group, in order, for a heart with K = ``structures``."""
        widths = {"points_mm": 3, "normals": 3, "distances_mm": structures}
        columns: dict[str, slice | int] = {}  # an index, not a slice, where the field has one axis
        end = 0
        for field in fields(_GROUPS[group]):
            width = widths.get(field.name, 1)
            columns[field.name] = slice(end, end + width) if field.name in widths else end
            end += width
        return cls(columns, end)

    def to_rows(self, points: SurfacePoints | QueryPoints) -> Float[np.ndarray, "n columns"]:
        """Join the fields of points into rows."""
        rows = np.empty((len(points.points_mm), self.width), _STORED)
        for name, columns in self.columns.items():
            rows[:, columns] = getattr(points, name)
        return rows

    def to_fields(self, rows: Float[np.ndarray, "n columns"]) -> dict[str, np.ndarray]:
        """Split rows into fields; ``structure`` is still in floating point."""
        return {name: rows[:, columns] for name, columns in self.columns.items()}


def write_samples(samples: Samples, path: Path) -> None:
    """Write a heart's file atomically."""
    structures = len(samples.info.structures)
    tensors = {
        group: _Layout.of_group(group, structures).to_rows(getattr(samples, group))
        for group in _GROUPS
    }
    heart = json.dumps(asdict(samples.info))
    metadata = {"schema": str(_SCHEMA), "heart": heart, "heart_sha256": _sha256(heart)}
    with written_whole(path) as unfinished:
        # save_file would hide why a write failed.
        unfinished.write_bytes(_in_order(save(tensors, metadata)))


def _in_order(content: bytes) -> bytes:
    """Sort a safetensors file's metadata, and add a hash of what the header says of tensors.

    The library writes the metadata in a random order.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:end])
    entries["__metadata__"]["tensors_sha256"] = _sha256_of_tensors(entries)
    header = json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at multiples of 8
    return len(header).to_bytes(8, "little") + header + content[end:]


class SamplesFile:
    """A heart's file, for reading slices of its tensors.

    Slices are read without a memory map, which would kill the process if the file were truncated
    meanwhile. The file is not kept open, so that any number of files can be in use.

    Attributes:
        path: The file.
        info: The heart's metadata.

    Raises:
        DamagedError: The file is damaged.
        InputError: It is missing, or of another schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_no_device(path)
        # 1. Read the header. safetensors validates it, and that the file is complete.
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
            schema = metadata.get("schema")
            self._size, self._tensors = _contents(path) if schema == str(_SCHEMA) else (0, {})
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        # KeyError, TypeError and ValueError: entries are missing, or not of two dimensions.
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DamagedError(
                f"{path}: cannot be read as a heart's samples: {error}; prepare the heart again"
            ) from error
        if schema != str(_SCHEMA):
            number = int(schema) if schema and is_whole_number(schema) else schema
            check_schema(path, number, _SCHEMA, "prepare the data again")
        self.info = _read_info(metadata, path)
        # 2. Check that the tensors have the columns that a heart of K structures needs.
        self._layouts = {
            group: _Layout.of_group(group, len(self.info.structures)) for group in _GROUPS
        }
        found = {name: (tensor.dtype, tensor.width) for name, tensor in self._tensors.items()}
        expected = {group: ("F32", layout.width) for group, layout in self._layouts.items()}
        if found != expected:
            raise DamagedError(
                f"{path}: holds {found}, but a heart of {len(self.info.structures)} structures "
                f"has {expected}; prepare the data again"
            )

    def count(self, group: str) -> int:
        """Return the number of points in the group ``surface``, ``near`` or ``volume``."""
        return self._tensors[group].rows

    def part(
        self, surface: tuple[int, int], near: tuple[int, int], volume: tuple[int, int]
    ) -> Samples:
        """Read consecutive points of each group.

        Args:
            surface: Index of the first surface point, and the number of points. After the last
                point of the group, reading continues with its first.
            near: The same for the near points.
            volume: The same for the volume points.

        Returns:
            The points. Except for ``structure``, the arrays of a group are views of one array.

        Raises:
            InputError: The file has been removed or its size has changed since it was opened, a
                group has too few points, or a structure index is not a whole number.
        """
        wanted = zip(_GROUPS, (surface, near, volume), strict=True)
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                # Offsets into a file of another size would give wrong points without an error.
                size = os.fstat(file).st_size
                if size != self._size:
                    raise InputError(
                        f"{self.path}: has {size} bytes, it had {self._size} when it was opened; "
                        "prepare the data again"
                    )
                rows = {group: self._rows(file, group, *slice_) for group, slice_ in wanted}
            finally:
                os.close(file)
        except OSError as error:
            raise InputError(f"{self.path}: can no longer be read: {error.strerror}") from error
        return Samples(info=self.info, **{g: self._points(g, found) for g, found in rows.items()})

    def read(self) -> Samples:
        """Read all points, into contiguous arrays."""
        surface, near, volume = ((0, self.count(group)) for group in _GROUPS)
        whole = self.part(surface, near, volume)
        return Samples(
            _contiguous(whole.surface),
            _contiguous(whole.near),
            _contiguous(whole.volume),
            whole.info,
        )

    def _rows(self, file: int, group: str, start: int, count: int) -> np.ndarray:
        tensor = self._tensors[group]
        if count > tensor.rows:
            raise InputError(
                f"{self.path}: {count} {group} points requested, but it has {tensor.rows}; "
                "request fewer or prepare more"
            )
        rows = np.empty((count, tensor.width), _STORED)
        # Up to the last row, and on from the first if need be; read straight into the array.
        to_end = min(count, tensor.rows - start)
        for part, first in ((rows[:to_end], start), (rows[to_end:], 0)):
            offset = tensor.offset + first * tensor.width * _STORED.itemsize
            if len(part) and os.preadv(file, [part.data], offset) != part.nbytes:
                raise InputError(f"{self.path}: ends within {group}; prepare the data again")
        return rows

    def _points(self, group: str, rows: np.ndarray) -> Any:
        found = self._layouts[group].to_fields(rows)
        if "structure" in found:
            with np.errstate(invalid="ignore"):  # invalid numbers are reported below
                structure = found["structure"].astype(np.uint8)
            if (structure != found["structure"]).any():
                raise InputError(
                    f"{self.path}: has structure indices that are not whole numbers; prepare the "
                    "data again"
                )
            found["structure"] = structure
        return _GROUPS[group](**found)


def _read_info(metadata: Mapping[str, str], path: Path) -> HeartInfo:
    try:
        # Files of earlier versions have no hash.
        if metadata.get("heart_sha256") not in (None, _sha256(metadata["heart"])):
            raise PlainDataError("its hash differs")
        info = HeartInfo.from_dict(parse_json(metadata["heart"]))
        LabelSet.from_dict(info.label_set, "its label set")
        return info
    except (PlainDataError, KeyError, InputError) as error:
        raise DamagedError(
            f"{path}: damaged description of the heart ({error}); prepare the heart again"
        ) from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _sha256_of_tensors(header: Mapping[str, Any]) -> str:
    """Hash of the names, types, shapes and places of a file's tensors."""
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return _sha256(json.dumps(tensors, sort_keys=True))


def _contiguous(points: _Points) -> _Points:
    arrays = {f.name: np.ascontiguousarray(getattr(points, f.name)) for f in fields(points)}
    return replace(points, **arrays)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor according to the file's header: data type, shape, and byte offset in the file."""

    dtype: str
    rows: int
    width: int
    offset: int


def _contents(path: Path) -> tuple[int, dict[str, _Tensor]]:
    """Return the size in bytes of a valid safetensors file, and its tensors.

    The file starts with the length of its header (8 bytes) and the header (JSON).
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(length).decode())
        size = os.fstat(file.fileno()).st_size
    metadata = header.pop("__metadata__", {})
    # Files of earlier versions have no hash.
    if metadata.get("tensors_sha256") not in (None, _sha256_of_tensors(header)):
        raise PlainDataError("the hash of its header differs")
    tensors = {}
    for name, entry in header.items():
        rows, width = entry["shape"]
        tensors[name] = _Tensor(entry["dtype"], rows, width, 8 + length + entry["data_offsets"][0])
    return size, tensors
