"""Samples: what a prepared heart is, and its file.

A heart's file is a safetensors file of three float32 tensors: ``surface``, ``near`` and ``volume``.
A row is a point with all that is known of it, in the order of the fields of :class:`SurfacePoints`
or :class:`QueryPoints`. The rows stand in random order, so that a training draw is a plain slice of
each tensor. Everything is in RAS+ mm; the frame travels along. With the points goes how far the
scan shows what is around them, which tells what distances are to be trusted.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Integer
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vecsetx.anatomy.frame import Frame
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.sampling.view import known_mm

SCHEMA = 3
"""Version of the file's form; a reader refuses any other."""


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """Points on the structures' surfaces.

    Attributes:
        points_mm: ``[N, 3]`` float32.
        structure: ``[N]`` uint8, the index 0…K−1 of the structure whose surface was drawn from. A
            wall between two structures is drawn from both sides.
        normals: ``[N, 3]`` float32, unit, pointing out of that structure.
        distances_mm: ``[N, K]`` float32 signed distances to all structures.
        edge_mm: ``[N]`` float32 distance to the edge of what the source shows, ≤ 0 beyond it,
            ``+inf`` where it shows everything.
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
        edge_mm: ``[N]`` float32 distance to the edge of what the source shows, ≤ 0 beyond it,
            ``+inf`` where it shows everything.
    """

    points_mm: Float[np.ndarray, "n 3"]
    distances_mm: Float[np.ndarray, "n k"]
    edge_mm: Float[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class HeartInfo:
    """What is known of a prepared heart besides its points.

    Attributes:
        name: The heart's name, unique in its data set.
        kind: What it was made from: label map, masks, meshes or npz.
        source: The path of that.
        sha256: Hash of the source's files.
        content: Hash of the heart's shape: the same for one heart in two files.
        label_set: The label set, as :meth:`LabelSet.to_dict` gives it.
        structures: Names of the K structures that the heart has, in the order of the distances.
            What it means that another is not among them, the data set knows.
        cut: Which of them reach the edge of the scan and may go on beyond it.
        frame: mm ↔ unit.
        reach_mm: Larger distances are stored as this one: at least as far.
        spacing_mm: Voxel size along each axis of the label map.
        volumes_ml: Volume per structure, within its surface.
        areas_mm2: Area of its surface.
        components: Pieces per structure after specks were removed.
        speck_voxels: Voxels that belonged to specks.
        remarks: What is worth telling about the source.
        options: The sampling's options.
        seed: Seed of the samples.
        version: Version of VecSetX that wrote it.
    """

    name: str
    kind: str
    source: str
    sha256: str
    content: str
    label_set: Mapping[str, Any]
    structures: tuple[str, ...]
    cut: tuple[str, ...]
    frame: Frame
    reach_mm: float
    spacing_mm: tuple[float, float, float]
    volumes_ml: Mapping[str, float]
    areas_mm2: Mapping[str, float]
    components: Mapping[str, int]
    speck_voxels: int
    remarks: tuple[str, ...]
    options: Mapping[str, Any]
    seed: int
    version: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "HeartInfo":
        """Read what ``asdict`` made, also after a way through JSON."""
        names = ("structures", "spacing_mm", "cut", "remarks")
        tuples = {name: tuple(data[name]) for name in names}
        return cls(**{**data, **tuples, "frame": Frame.from_dict(data["frame"])})

    def known_mm(self, edge_mm: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
        """How far each structure's distance is known at each point, ``[N, K]`` mm.

        See :func:`vecsetx.sampling.view.known_mm`.
        """
        cut = np.array([name in self.cut for name in self.structures])
        return known_mm(edge_mm, cut)

    def trusted(self, points: "SurfacePoints | QueryPoints") -> Bool[np.ndarray, "n k"]:
        """Whether each distance of ``points`` is the true one, ``[N, K]``; else it is a bound."""
        sizes = np.minimum(np.abs(points.distances_mm), self.reach_mm)
        return sizes <= self.known_mm(points.edge_mm)


@dataclass(frozen=True, slots=True)
class Samples:
    """A prepared heart: its three sets of points and what is known of it."""

    surface: SurfacePoints
    near: QueryPoints
    volume: QueryPoints
    info: HeartInfo


_KINDS: Mapping[str, type[SurfacePoints] | type[QueryPoints]] = {
    "surface": SurfacePoints,
    "near": QueryPoints,
    "volume": QueryPoints,
}
_STORED = np.dtype("<f4")

Points = TypeVar("Points", SurfacePoints, QueryPoints)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns of a group's rows hold what.

    Attributes:
        columns: For each field its columns, or its one column.
        width: Number of all columns.
    """

    columns: Mapping[str, slice | int]
    width: int

    @classmethod
    def of(cls, group: str, structures: int) -> "_Layout":
        """That of a group of a heart with so many structures: field by field, in their order."""
        widths = {"points_mm": 3, "normals": 3, "distances_mm": structures}
        columns: dict[str, slice | int] = {}
        end = 0
        for field in fields(_KINDS[group]):
            width = widths.get(field.name, 1)
            columns[field.name] = slice(end, end + width) if field.name in widths else end
            end += width
        return cls(columns, end)

    def joined(self, points: SurfacePoints | QueryPoints) -> Float[np.ndarray, "n columns"]:
        """Points as rows."""
        rows = np.empty((len(points.points_mm), self.width), _STORED)
        for name, columns in self.columns.items():
            rows[:, columns] = getattr(points, name)
        return rows

    def apart(self, rows: Float[np.ndarray, "n columns"]) -> dict[str, np.ndarray]:
        """The fields of rows; ``structure`` still in floating point."""
        return {name: rows[:, columns] for name, columns in self.columns.items()}


def write_samples(samples: Samples, path: Path) -> None:
    """Write a heart's file, whole or not at all."""
    structures = len(samples.info.structures)
    tensors = {
        group: _Layout.of(group, structures).joined(getattr(samples, group)) for group in _KINDS
    }
    metadata = {"schema": str(SCHEMA), "heart": json.dumps(asdict(samples.info))}
    with written_whole(path) as unfinished:
        unfinished.write_bytes(save(tensors, metadata))  # save_file hides why a disk refuses


class SamplesFile:
    """A heart's file, opened for slices.

    Slices are read without a memory map, which would end the process if the file were cut short
    meanwhile, and the file is not kept open, so that there may be any number of them.

    Attributes:
        path: The file.
        info: What is known of the heart.

    Raises:
        InputError: The file is missing, damaged, or of another schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, framework="numpy") as file:  # tells whether it is sound
                metadata = file.metadata() or {}
            if metadata.get("schema") != str(SCHEMA):
                raise InputError(
                    f"{path}: schema {metadata.get('schema')}, this version reads {SCHEMA}; "
                    "prepare the data again"
                )
            self._size, self._tensors = _contents(path)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path}: cannot be read as a heart's samples: {error}") from error
        self.info = HeartInfo.from_dict(json.loads(metadata["heart"]))
        self._layouts = {group: _Layout.of(group, len(self.info.structures)) for group in _KINDS}
        found = {name: (tensor.dtype, tensor.width) for name, tensor in self._tensors.items()}
        expected = {group: ("F32", layout.width) for group, layout in self._layouts.items()}
        if found != expected:
            raise InputError(
                f"{path}: holds {found}, where a heart of {len(self.info.structures)} structures "
                f"has {expected}; prepare the data again"
            )

    def count(self, group: str) -> int:
        """How many points the group ``surface``, ``near`` or ``volume`` holds."""
        return self._tensors[group].rows

    def part(
        self, surface: tuple[int, int], near: tuple[int, int], volume: tuple[int, int]
    ) -> Samples:
        """Some points of each group.

        Args:
            surface: The first point and how many; at the group's end it goes round.
            near: Likewise.
            volume: Likewise.

        Returns:
            The points. Apart from ``structure``, the arrays of a group are columns of one.

        Raises:
            InputError: The file has vanished or is not as long as it was when it was opened, a
                group does not hold as many points, or the index of a structure is none.
        """
        wanted = zip(_KINDS, (surface, near, volume), strict=True)
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
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
            raise InputError(f"{self.path}: cannot be read any more: {error.strerror}") from error
        return Samples(info=self.info, **{g: self._points(g, found) for g, found in rows.items()})

    def read(self) -> Samples:
        """All of it, in arrays of their own."""
        surface, near, volume = ((0, self.count(group)) for group in _KINDS)
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
                f"{self.path}: {count} {group} points asked for, it holds {tensor.rows}; "
                "draw fewer or prepare more"
            )
        rows = np.empty((count, tensor.width), _STORED)
        to_end = min(count, tensor.rows - start)
        for part, first in ((rows[:to_end], start), (rows[to_end:], 0)):
            offset = tensor.offset + first * tensor.width * _STORED.itemsize
            if len(part) and os.preadv(file, [part.data], offset) != part.nbytes:
                raise InputError(f"{self.path}: ends within {group}; prepare the data again")
        return rows

    def _points(self, group: str, rows: np.ndarray) -> Any:
        found = self._layouts[group].apart(rows)
        if "structure" in found:
            with np.errstate(invalid="ignore"):  # what is no number is told below
                structure = found["structure"].astype(np.uint8)
            if (structure != found["structure"]).any():
                raise InputError(
                    f"{self.path}: indices of structures that are no whole numbers; prepare the "
                    "data again"
                )
            found["structure"] = structure
        return _KINDS[group](**found)


def _contiguous(points: Points) -> Points:
    arrays = {f.name: np.ascontiguousarray(getattr(points, f.name)) for f in fields(points)}
    return replace(points, **arrays)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """What a file's header tells of a tensor: the type of its values, its size, where it lies."""

    dtype: str
    rows: int
    width: int
    offset: int


def _contents(path: Path) -> tuple[int, dict[str, _Tensor]]:
    """Size of a safetensors file that has been found sound, and its tensors.

    The file begins with the length of its header, 8 bytes, and the header in JSON.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        size = os.fstat(file.fileno()).st_size
    header.pop("__metadata__", None)
    tensors = {}
    for name, told in header.items():
        rows, width = told["shape"]
        tensors[name] = _Tensor(told["dtype"], rows, width, 8 + length + told["data_offsets"][0])
    return size, tensors
