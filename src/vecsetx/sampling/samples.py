"""Samples: what a prepared heart is, and its file.

A heart's file is a safetensors file whose points stand in random order, so that a training draw is
a plain slice. Everything is in RAS+ mm; the frame travels along. With the points goes how far the
scan shows what is around them, which tells what distances are to be trusted.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vecsetx.anatomy.frame import Frame
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.sampling.view import known_mm

SCHEMA = 2
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


def write_samples(samples: Samples, path: Path) -> None:
    """Write a heart's file, whole or not at all."""
    tensors = {
        f"{group}.{field.name}": np.ascontiguousarray(getattr(points, field.name))
        for group, points in (
            ("surface", samples.surface),
            ("near", samples.near),
            ("volume", samples.volume),
        )
        for field in fields(points)
    }
    metadata = {"schema": str(SCHEMA), "heart": json.dumps(asdict(samples.info))}
    with written_whole(path) as unfinished:
        unfinished.write_bytes(save(tensors, metadata))  # save_file hides why a disk refuses


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Where a tensor lies in a file, and of what kind its values are."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    row_bytes: int


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
        with self._opened() as file:
            metadata = file.metadata() or {}
            self._size, self._tensors = _contents(path)
        if metadata.get("schema") != str(SCHEMA):
            raise InputError(
                f"{path}: schema {metadata.get('schema')}, this version reads {SCHEMA}; "
                "prepare the data again"
            )
        self.info = HeartInfo.from_dict(json.loads(metadata["heart"]))

    def count(self, group: str) -> int:
        """How many points the group ``surface``, ``near`` or ``volume`` holds."""
        return self._tensors[f"{group}.points_mm"].shape[0]

    def slices(self, wanted: Iterable[tuple[str, int, int]]) -> list[np.ndarray]:
        """Rows of several tensors.

        Args:
            wanted: For each slice a tensor such as ``near.points_mm``, its first row and how many;
                at the tensor's end it goes round.

        Raises:
            InputError: The file has vanished or is not as long as it was when it was opened, or a
                tensor does not hold as many rows.
        """
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                size = os.fstat(file).st_size
                if size != self._size:
                    raise InputError(
                        f"{self.path}: has {size} bytes, it had {self._size} when it was opened; "
                        "prepare the data again"
                    )
                return [self._slice(file, *slice_) for slice_ in wanted]
            finally:
                os.close(file)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read any more: {error.strerror}") from error

    def _slice(self, file: int, name: str, start: int, count: int) -> np.ndarray:
        tensor = self._tensors[name]
        size = tensor.shape[0]
        if count > size:
            raise InputError(
                f"{self.path}: {count} rows of {name} asked for, it holds {size}; "
                "draw fewer or prepare more points"
            )
        rows = np.empty((count, *tensor.shape[1:]), tensor.dtype)
        to_end = min(count, size - start)
        for part, first in ((rows[:to_end], start), (rows[to_end:], 0)):
            offset = tensor.offset + first * tensor.row_bytes
            if len(part) and os.preadv(file, [part.data], offset) != part.nbytes:
                raise InputError(f"{self.path}: ends within {name}; prepare the data again")
        return rows

    def rows(self, tensor: str, start: int, count: int) -> np.ndarray:
        """``count`` rows of a tensor, as :meth:`slices` reads them."""
        return self.slices([(tensor, start, count)])[0]

    def read(self) -> Samples:
        """All of it."""
        groups = {"surface": SurfacePoints, "near": QueryPoints, "volume": QueryPoints}
        with self._opened() as file:
            loaded = {
                group: kind(**{f.name: file.get_tensor(f"{group}.{f.name}") for f in fields(kind)})
                for group, kind in groups.items()
            }
        return Samples(info=self.info, **loaded)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with safe_open(self.path, framework="numpy") as file:
                yield file
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{self.path}: cannot be read as a heart's samples: {error}"
            ) from error


def _contents(path: Path) -> tuple[int, dict[str, _Tensor]]:
    """Size of a safetensors file that has been found sound, and where its tensors lie.

    The file begins with the length of its header, 8 bytes, and the header in JSON.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        size = os.fstat(file.fileno()).st_size
    header.pop("__metadata__", None)
    return size, {name: _tensor(told, 8 + length) for name, told in header.items()}


def _tensor(told: Mapping[str, Any], data: int) -> _Tensor:
    """A tensor as a header tells of it, in a file whose data begin at ``data``."""
    dtype = np.dtype(f"<{told['dtype'][0].lower()}{int(told['dtype'][1:]) // 8}")  # F32: <f4
    shape = tuple(told["shape"])
    row_bytes = dtype.itemsize * math.prod(shape[1:])
    return _Tensor(dtype, shape, data + told["data_offsets"][0], row_bytes)
