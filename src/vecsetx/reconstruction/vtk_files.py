"""Write files with VTK's writers, which do not say reliably when a disk is full."""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = ["add_strings", "write_with_vtk"]

_VTK_OUTPUT = Lock()  # VTK has one output window for all threads


def add_strings(data: Any, name: str, strings: Sequence[str]) -> None:
    """Add texts to the field data of polydata or an unstructured grid."""
    from vtkmodules.vtkCommonCore import vtkStringArray

    entry = vtkStringArray()
    entry.SetName(name)
    for string in strings:
        entry.InsertNextValue(string)
    data.GetFieldData().AddArray(entry)


def write_with_vtk(writer: Any, data: Any, path: Path) -> None:
    """Write polydata or an unstructured grid, and read the file's size or end back.

    Args:
        writer: VTK's writer, with its options set: of binary STL, binary PLY, or XML.
        data: What is written.
        path: The file, whose extension is that of the format.

    Raises:
        OSError: The file is not whole. The error says why, as far as the system does.
    """
    writer.SetInputData(data)
    writer.SetFileName(str(path))
    with _quiet():
        done = writer.Write() == 1 and not writer.GetErrorCode()
    if not (done and path.exists() and _IS_WHOLE[path.suffix.lower()](path, data)):
        _raise_reason(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep VTK's messages, many lines each, from the terminal."""
    from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow

    with _VTK_OUTPUT:
        window, verbosity = vtkOutputWindow.GetInstance(), vtkLogger.GetCurrentVerbosityCutoff()
        vtkOutputWindow.SetInstance(vtkStringOutputWindow())
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        try:
            yield
        finally:
            vtkOutputWindow.SetInstance(window)
            vtkLogger.SetStderrVerbosity(verbosity)


def _raise_reason(path: Path) -> None:
    """Raise the error that VTK swallowed, by writing once more to the same place.

    Raises:
        OSError: Always.
    """
    with open(path, "ab") as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    raise OSError(errno.EIO, "it was written only in part", str(path))


def _is_whole_stl(path: Path, polydata: Any) -> bool:
    return path.stat().st_size == 84 + 50 * polydata.GetNumberOfPolys()


def _is_whole_ply(path: Path, polydata: Any) -> bool:
    """Compare the size with that of the header's elements; each face is a triangle."""
    with open(path, "rb") as file:
        head, end, _ = file.read(4096).partition(b"end_header\n")
    sizes, counts = [len(head) + len(end)], [1]
    for line in head.splitlines():
        if element := re.fullmatch(rb"element \w+ (\d+)", line):
            counts.append(int(element[1]))
            sizes.append(0)
        elif line.startswith(b"property list"):
            sizes[-1] += 1 + 3 * 4
        elif scalar := re.match(rb"property (\w+)", line):
            sizes[-1] += {b"float": 4, b"uchar": 1}[scalar[1]]
    there = [1, polydata.GetNumberOfPoints(), polydata.GetNumberOfPolys()]
    expected = sum(size * count for size, count in zip(sizes, counts, strict=True))
    return counts == there and path.stat().st_size == expected


def _is_whole_xml(path: Path, data: Any) -> bool:
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - 64, 0))
        return file.read().rstrip().endswith(b"</VTKFile>")


_IS_WHOLE: dict[str, Callable[[Path, Any], bool]] = {
    ".stl": _is_whole_stl,
    ".ply": _is_whole_ply,
    ".vtp": _is_whole_xml,
    ".vtu": _is_whole_xml,
}
