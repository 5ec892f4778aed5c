"""Calls in a process with little memory, for tests of what readers take from hostile files."""

import importlib
import resource
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from support.forked import FromServer
from vecsetx.errors import InputError

# Readers import these where they use them; there, the limit would be passed by the import.
LIBRARIES = (
    *("SimpleITK", "cc3d", "igl", "nibabel", "pydicom", "pykdtree.kdtree", "scipy.ndimage"),
    *("scipy.sparse.csgraph", "scipy.spatial", "trimesh", "vtkmodules.util.numpy_support"),
    *("vtkmodules.vtkCommonDataModel", "vtkmodules.vtkFiltersCore", "vtkmodules.vtkImagingStencil"),
)

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def outcomes(calls: Sequence[Call], megabytes: int, before: Sequence[Call] = ()) -> list[str]:
    """Call functions one after the other, in a process that may take so much memory.

    Args:
        calls: Functions that can be imported, each with its arguments.
        megabytes: Memory beyond what the process has after ``before``.
        before: Calls without a limit, which import what the others need.

    Returns:
        For each, ``read``, the message of its :class:`InputError`, or another error's name and
        message. If the process ends, its exit code, and nothing for the calls after it.
    """
    mine, its = FromServer.Pipe()
    process = FromServer.Process(target=_call, args=(its, calls, megabytes, before))
    process.start()
    its.close()
    found: list[str] = []
    try:
        while len(found) < len(calls):
            found.append(mine.recv())
    except EOFError:
        process.join()
        found.append(f"exit code {process.exitcode}")
    process.join()
    return found


def _call(pipe: Connection, calls: Sequence[Call], megabytes: int, before: Sequence[Call]) -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    warnings.simplefilter("error")
    for function, arguments in before:
        function(*arguments)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + megabytes * 2**20,) * 2)
    for function, arguments in calls:
        try:
            function(*arguments)
        except InputError as error:
            pipe.send(str(error))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
        else:
            pipe.send("read")
