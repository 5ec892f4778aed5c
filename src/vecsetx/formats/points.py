"""Points on the surfaces of structures, each with its structure: CSV, VTP and PLY files."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh
from jaxtyping import Float, Int
from vtkmodules.util.numpy_support import vtk_to_numpy

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.formats.meshes import axes_to_ras, polydata_points, polydata_space, read_polydata

POINTS_ENDINGS = (".csv", ".vtp", ".ply")
"""Endings of the point files that can be read."""

FEWEST_POINTS = 4
"""Fewer points than this enclose nothing."""

_COLUMNS = ("x", "y", "z", "structure")


@dataclass(frozen=True, slots=True)
class LabelledPoints:
    """Points on surfaces and whose surfaces they are.

    Attributes:
        points_mm: ``[N, 3]`` float64, RAS+ mm.
        structure: ``[N]`` int64, index into the structures asked for.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]


def read_points(
    path: Path, structures: Sequence[str], label_set: LabelSet, space: str = "lps"
) -> LabelledPoints:
    """Read labelled surface points.

    A CSV file has columns ``x``, ``y``, ``z`` (mm) and ``structure``, the name or the label set's
    id; a line ``# SPACE=RAS`` or ``# SPACE=LPS`` above them names the axes. A VTP file has point
    data ``structure`` (names or ids) or ``label`` (ids), and may have field data ``SPACE``. A PLY
    file's vertices have a property ``structure`` or ``label`` (ids), and it may have a comment
    ``SPACE=RAS`` or ``SPACE=LPS``.

    Args:
        path: ``.csv``, ``.vtp`` or ``.ply``.
        structures: Names of the K structures wanted; points of others are left out.
        label_set: What ids mean and which names are known.
        space: Axes of the coordinates, ``lps`` or ``ras``, if the file does not say.

    Raises:
        InputError: The file is missing or unreadable, lacks a column, holds a number that is not
            finite or an unknown structure (with its row), or fewer than
            :data:`FEWEST_POINTS` points of the structures.
    """
    readers = {".csv": _read_csv, ".vtp": _read_vtp, ".ply": _read_ply}
    if (reader := readers.get(path.suffix.lower())) is None:
        raise InputError(f"{path}: is no file of points; give {' or '.join(POINTS_ENDINGS)}")
    table = reader(path)
    index: dict[str, int] = {}
    for word, row in zip(table.words, table.rows, strict=True):
        if word not in index:
            try:
                name = _structure(word, label_set)
            except InputError as error:
                raise InputError(f"{path}, {row}: {error}") from None
            index[word] = structures.index(name) if name in structures else -1
    for bad in np.flatnonzero(~np.isfinite(table.points).all(axis=1)):
        raise InputError(
            f"{path}, {table.rows[bad]}: {table.points[bad].tolist()} is no place; leave it out"
        )
    number = np.array([index[word] for word in table.words], np.int64)
    wanted = number >= 0
    if wanted.sum() < FEWEST_POINTS:
        raise InputError(
            f"{path}: {wanted.sum()} of its {len(number)} points are of {', '.join(structures)}; "
            f"give at least {FEWEST_POINTS}"
        )
    points_mm = table.points * axes_to_ras(table.space or space, path)
    return LabelledPoints(points_mm[wanted], number[wanted])


class _Table(NamedTuple):
    """A file's points as they stand there: ``[N, 3]``, N words and places, and a space or None."""

    points: np.ndarray
    words: list[str]
    rows: list[str]
    space: str | None


def _structure(word: str, label_set: LabelSet) -> str | None:
    """The structure that a name or an id means; None for what the label set leaves out."""
    if not word.isdecimal():
        return label_set.structure_named(word)
    if label_set.unknown([int(word)]) or int(word) == 0:
        raise InputError(
            f"id {word} is not in label set {label_set.name} (it knows {sorted(label_set.ids)}); "
            "choose another with --labels, or write the structures' names"
        )
    return label_set.ids.get(int(word))


def _read_csv(path: Path) -> _Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    tag = re.search(r"(?im)^\s*#.*\bSPACE\s*=\s*(\w+)", text)
    lines = {
        number: line
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    }
    numbers = list(lines)
    reader = csv.DictReader(lines.values(), restval="", skipinitialspace=True)
    columns = {str(name).strip().lower(): name for name in reader.fieldnames or ()}
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise InputError(
            f"{path}: has no column {', '.join(missing)}; its first line must name x, y, z and "
            f"structure, separated by commas, and is {','.join(reader.fieldnames or ())!r}"
        )
    points: list[list[float]] = []
    words: list[str] = []
    rows: list[str] = []
    for entry in reader:
        rows.append(f"line {numbers[reader.line_num - 1]}")
        words.append(entry[columns["structure"]].strip())
        try:
            points.append([float(entry[columns[axis]]) for axis in "xyz"])
        except ValueError as error:
            raise InputError(f"{path}, {rows[-1]}: {error}") from None
    return _Table(np.array(points).reshape(-1, 3), words, rows, tag[1] if tag else None)


def _read_vtp(path: Path) -> _Table:
    polydata = read_polydata(path)
    data = polydata.GetPointData()
    array: Any = data.GetAbstractArray("structure") or data.GetAbstractArray("label")
    if array is None:
        raise InputError(
            f"{path}: has no point data 'structure' or 'label', which says whose points these "
            "are; if this is a structure's surface, give the folder of all its surfaces"
        )
    count = polydata.GetNumberOfPoints()
    if array.IsA("vtkDataArray"):
        numbers = vtk_to_numpy(array).reshape(count, -1)[:, 0]
        words = _words(numbers)
    else:
        words = [array.GetVariantValue(index).ToString().strip() for index in range(count)]
    rows = [f"point {index}" for index in range(count)]
    return _Table(polydata_points(polydata), words, rows, polydata_space(polydata))


def _read_ply(path: Path) -> _Table:
    try:
        head = path.read_bytes().partition(b"end_header")[0].decode("ascii")
        read = trimesh.load(path, process=False)
        vertices = read.metadata["_ply_raw"]["vertex"]["data"]
        points = np.column_stack([np.ravel(vertices[axis]) for axis in "xyz"]).astype(np.float64)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read as PLY points: {error!r}") from error
    known = getattr(vertices, "dtype", None)
    names = known.names if known is not None and known.names else list(vertices)
    found = next((name for name in ("structure", "label") if name in names), None)
    if found is None:
        raise InputError(
            f"{path}: its vertices have no property 'structure' or 'label', which says whose "
            "points these are; if this is a structure's surface, give the folder of all its "
            "surfaces"
        )
    tag = re.search(r"(?im)^comment\b.*\bSPACE\s*=\s*(\w+)", head)
    rows = [f"point {index}" for index in range(len(points))]
    return _Table(points, _words(np.ravel(vertices[found])), rows, tag[1] if tag else None)


def _words(numbers: np.ndarray) -> list[str]:
    return [f"{number:.17g}" for number in numbers]
