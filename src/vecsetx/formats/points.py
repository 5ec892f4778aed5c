"""Labelled surface points, each with its structure, from CSV, VTP and PLY files."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.size import mm_per
from vecsetx.errors import InputError
from vecsetx.formats.mesh_text import check_ascii_ply
from vecsetx.formats.meshes import check_mesh_size, ras_factors, stated_space
from vecsetx.formats.quiet import quiet_libraries
from vecsetx.formats.vtp.polydata import read_polydata
from vecsetx.limits import POINTS_BYTES
from vecsetx.plain_data import is_whole_number

POINTS_ENDINGS = (".csv", ".vtp", ".ply")
"""File extensions of the supported point formats."""

_FEWEST_POINTS = 4  # fewer cannot enclose a volume
_COLUMNS = ("x", "y", "z", "structure")
_TAG = re.compile(r"\bSPACE\s*=\s*(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LabelledPoints:
    """Points on the surfaces of structures.

    Attributes:
        points_mm: ``[N, 3]`` float64, RAS+ mm.
        structure: ``[N]`` int64, index into the requested structures.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]


def read_points(
    path: Path,
    structures: Sequence[str],
    label_set: LabelSet,
    space: str = "lps",
    units: str = "mm",
) -> LabelledPoints:
    """Read labelled surface points.

    A CSV file has columns ``x``, ``y``, ``z`` and ``structure`` (a name or an id of the label
    set); a line ``# SPACE=RAS`` or ``# SPACE=LPS`` above them specifies the axes. A VTP file has
    point data ``structure`` (names or ids) or ``label`` (ids), and may have field data ``SPACE``.
    In a PLY file, the vertices have a property ``structure`` or ``label`` (ids), and a comment may
    give ``SPACE=RAS`` or ``SPACE=LPS``.

    Args:
        path: ``.csv``, ``.vtp`` or ``.ply``.
        structures: Names of the K structures to read; points of others are left out.
        label_set: What ids mean, and which structures there may be.
        space: Axes of the coordinates, ``lps`` or ``ras``, if the file does not specify them.
        units: Unit of the coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.

    Raises:
        InputError: The file is missing or unreadable, lacks a column, has a number that is not
            finite or an unknown structure (the message gives the row), or has fewer than 4 points
            of the structures.
    """
    readers = {".csv": _read_csv, ".vtp": _read_vtp, ".ply": _read_ply}
    if (reader := readers.get(path.suffix.lower())) is None:
        raise InputError(f"{path}: unsupported point format; give {' or '.join(POINTS_ENDINGS)}")
    try:
        table = reader(path)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    # 1. From words to structures, each word once: files repeat a few words many times.
    index: dict[str, int] = {}
    for word, row in zip(table.words, table.rows, strict=True):
        if word not in index:
            try:
                name = _structure(word, label_set)
            except InputError as error:
                raise InputError(f"{path}, {row}: {error}") from None
            index[word] = structures.index(name) if name in structures else -1
    # 2. Check the coordinates; report the first bad row.
    for bad in np.flatnonzero(~np.isfinite(table.points).all(axis=1)):
        raise InputError(
            f"{path}, {table.rows[bad]}: {table.points[bad].tolist()} is not finite; remove it"
        )
    # 3. Keep the points of the requested structures.
    number = np.array([index[word] for word in table.words], np.int64)
    wanted = number >= 0
    if wanted.sum() < _FEWEST_POINTS:
        raise InputError(
            f"{path}: {wanted.sum()} of its {len(number)} points belong to "
            f"{', '.join(structures)}; give at least {_FEWEST_POINTS}"
        )
    points_mm = table.points[wanted] * (
        mm_per(units, path) * ras_factors(table.space or space, path)
    )
    return LabelledPoints(points_mm, number[wanted])


class _Table(NamedTuple):
    """A file's content, unchecked.

    Attributes:
        points: ``[N, 3]`` coordinates.
        words: The structure of each point: a name, or an id as text.
        rows: Where each point is in the file, for error messages.
        space: The axes that the file specifies, or None.
    """

    points: np.ndarray
    words: list[str]
    rows: list[str]
    space: str | None


def _structure(word: str, label_set: LabelSet) -> str | None:
    """Return the structure with a name or an id; None for one that the label set leaves out."""
    if not is_whole_number(word):
        return label_set.structure_named(word)
    if label_set.unknown([int(word)]) or int(word) == 0:
        raise InputError(
            f"id {word} is not in label set {label_set.name} (which has {sorted(label_set.ids)}); "
            "choose another with --labels, or give the structures' names"
        )
    return label_set.ids.get(int(word))


def _read_csv(path: Path) -> _Table:
    try:
        check_mesh_size(path, POINTS_BYTES)
        text = path.read_text(encoding="utf-8-sig")  # Excel writes a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    # Line numbers, for error messages, survive the removal of blank lines and comments.
    lines = {n: line.strip() for n, line in enumerate(text.splitlines(), start=1) if line.strip()}
    comments = [line for line in lines.values() if line.startswith("#")]
    lines = {n: line for n, line in lines.items() if not line.startswith("#")}
    numbers = list(lines)
    reader = csv.DictReader(lines.values(), restval="", skipinitialspace=True)
    names = [str(name).strip().lower() for name in reader.fieldnames or ()]
    columns = dict(zip(names, reader.fieldnames or (), strict=True))
    if twice := [name for name in _COLUMNS if names.count(name) > 1]:
        raise InputError(f"{path}: has several columns {twice[0]}; keep the right one")
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise InputError(
            f"{path}: has no column {', '.join(missing)}; the first line must name x, y, z and "
            f"structure, separated by commas, but is {','.join(reader.fieldnames or ())!r}"
        )
    points: list[list[float]] = []
    words: list[str] = []
    rows: list[str] = []
    for entry in reader:
        rows.append(f"line {numbers[reader.line_num - 1]}")
        if any(entry.get(None, ())):  # where csv puts what is left over
            raise InputError(
                f"{path}, {rows[-1]}: has more values than the first line has columns, as with "
                "decimal commas; write numbers with points"
            )
        words.append(entry[columns["structure"]].strip())
        try:
            points.append([_coordinate(entry[columns[axis]]) for axis in "xyz"])
        except ValueError as error:
            raise InputError(f"{path}, {rows[-1]}: {error}") from None
    space = stated_space(_stated(comments), path)
    return _Table(np.array(points).reshape(-1, 3), words, rows, space)


def _coordinate(text: str) -> float:
    """Read a number as other programs write it; Python also takes 1_0 and digits of any script."""
    if "_" in text or not text.isascii():
        raise ValueError(f"could not convert string to float: {text!r}")
    return float(text)


def _stated(comments: Iterable[str]) -> list[str]:
    """Return the spaces that comments state."""
    return [tag[1] for comment in comments if (tag := _TAG.search(comment))]


def _read_vtp(path: Path) -> _Table:
    polydata = read_polydata(path)
    found = next((polydata.data[n] for n in ("structure", "label") if n in polydata.data), None)
    if found is None:
        raise InputError(
            f"{path}: has no point data 'structure' or 'label' to assign the points to structures; "
            "if it is the surface of one structure, give the folder of all surfaces"
        )
    words = _words(found) if isinstance(found, np.ndarray) else found
    rows = [f"point {index}" for index in range(len(words))]
    return _Table(polydata.points, words, rows, polydata.space)


def _read_ply(path: Path) -> _Table:
    import trimesh  # here, because it takes a second to import and other inputs do not need it

    try:
        check_mesh_size(path)
        with open(path, "rb") as file, quiet_libraries("trimesh"):
            content = file.read()
            check_ascii_ply(content, path)
            head = content.partition(b"end_header")[0].decode("ascii")
            file.seek(0)
            read = trimesh.load(file, "ply", process=False, skip_materials=True)
        # trimesh drops properties that it does not know, but keeps the raw vertices.
        vertices = read.metadata["_ply_raw"]["vertex"]["data"]
        points = np.column_stack([np.ravel(vertices[axis]) for axis in "xyz"]).astype(np.float64)
    except InputError:
        raise
    except Exception as error:  # for damaged files, trimesh passes on any error of numpy
        raise InputError(
            f"{path}: cannot be read as PLY points ({error}); export them again"
        ) from error
    known = getattr(vertices, "dtype", None)
    names = known.names if known is not None and known.names else list(vertices)
    found = next((name for name in ("structure", "label") if name in names), None)
    if found is None:
        raise InputError(
            f"{path}: its vertices have no property 'structure' or 'label' to assign them to "
            "structures; if it is the surface of one structure, give the folder of all surfaces"
        )
    comments = [line for line in head.splitlines() if line.lower().startswith("comment")]
    rows = [f"point {index}" for index in range(len(points))]
    space = stated_space(_stated(comments), path)
    return _Table(points, _words(np.ravel(vertices[found])), rows, space)


def _words(numbers: np.ndarray) -> list[str]:
    # 17 digits keep every float64 apart; whole numbers come out without a point, like ids.
    return [f"{number:.17g}" for number in numbers]
