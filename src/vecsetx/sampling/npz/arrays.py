"""The arrays of an NPZ file, each validated when it is read."""

import lzma
import math
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Float, Int

from vecsetx.errors import InputError
from vecsetx.limits import DEFLATE_RATIO, NPZ_BYTES, ORIGIN_MM
from vecsetx.special_files import check_no_device

_UNREADABLE = (
    ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError,
    KeyError, RuntimeError, SyntaxError, TypeError, OverflowError, TokenError, UserWarning,
)  # fmt: skip
"""What damaged archives and arrays raise; RuntimeError: an encrypted member; TokenError and
UserWarning: a header that NumPy reads as one of Python 2."""


class NpzArrays:
    """An NPZ file opened for reading; a context manager.

    Every method raises :class:`InputError`, with the array's name, if the file lacks the array or
    the array is damaged, has the wrong shape or holds impossible values.

    Args:
        path: The file.

    Raises:
        InputError: The file is missing, or not an NPZ file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_no_device(path)
        try:
            _check_members(path)
            self._file = np.load(path, allow_pickle=False)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        except _UNREADABLE as error:
            raise InputError(
                f"{path}: is not an NPZ file, or is cut short ({error}); copy or write it again"
            ) from error

    def __enter__(self) -> "NpzArrays":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def need(self, *names: str) -> None:
        """Check that arrays are there."""
        if missing := [name for name in names if name not in self._file]:
            found = ", ".join(self._file) or "nothing"
            raise InputError(
                f"{self.path}: has no {', '.join(missing)}, only {found}; export the heart again"
            )

    def array(self, name: str) -> np.ndarray:
        """An array, unchecked."""
        self.need(name)
        try:
            return np.asarray(self._file[name])
        except (OSError, *_UNREADABLE) as error:
            raise InputError(
                f"{self.path}: {name} cannot be read: {error}; copy or write the file again"
            ) from error

    def points(self, name: str) -> Float[np.ndarray, "n 3"]:
        """Points ``[N, 3]`` float32, at least one, all finite."""
        points = self._numbers(name)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
            raise self._misshapen(name, points, "(N, 3), with N at least 1")
        if (farthest := np.abs(points).max()) > ORIGIN_MM:
            raise InputError(
                f"{self.path}: {name} has coordinates up to {farthest:.3g}, where no heart lies; "
                "prepare this heart again"
            )
        return points.astype(np.float32)

    def distances(self, name: str, count: int) -> Float[np.ndarray, " n"]:
        """Distances ``[N]`` float32 of ``count`` points; the file may hold ``[N, 1]``."""
        with np.errstate(over="ignore"):
            distances = self._column(name, count).astype(np.float32)
        if not np.isfinite(distances).all():
            raise InputError(
                f"{self.path}: {name} has distances up to {np.abs(self._numbers(name)).max():.3g}; "
                "prepare this heart again"
            )
        return distances

    def ids(self, name: str, count: int) -> Int[np.ndarray, " n"]:
        """Ids ``[N]`` int64 of ``count`` points.

        The file may hold ``[N]``, ``[N, 1]``, or one-hot ``[N, C]``, whose columns are ids 1…C.
        """
        numbers = self._numbers(name)
        if numbers.ndim == 2 and numbers.shape[1] > 1:
            if len(numbers) != count:
                raise self._misshapen(name, numbers, f"({count}, C)")
            chosen = numbers != 0
            odd = int(((chosen.sum(axis=1) != 1) | (numbers.sum(axis=1) != 1)).sum())
            if odd:
                raise InputError(
                    f"{self.path}: {odd} rows of {name} do not hold a single 1; give each point "
                    "one structure"
                )
            return chosen.argmax(axis=1).astype(np.int64) + 1
        ids = self._column(name, count)
        wrong = ids[(ids != np.rint(ids)) | (ids < 0)]
        if len(wrong):
            raise InputError(
                f"{self.path}: {name} holds {wrong[0]}; write ids as whole numbers from 0 up"
            )
        return ids.astype(np.int64)

    def _column(self, name: str, count: int) -> np.ndarray:
        numbers = self._numbers(name)
        if numbers.shape not in ((count,), (count, 1)):
            raise self._misshapen(name, numbers, f"({count},), one for each point")
        return numbers.reshape(count)

    def _numbers(self, name: str) -> np.ndarray:
        numbers = self.array(name)
        if numbers.dtype.kind not in "biuf":
            raise InputError(
                f"{self.path}: {name} holds {numbers.dtype}, not numbers; prepare this heart again"
            )
        if bad := int((~np.isfinite(numbers)).sum()):
            raise InputError(
                f"{self.path}: {bad} of the {numbers.size} numbers in {name} are not finite; "
                "prepare this heart again"
            )
        return numbers

    def _misshapen(self, name: str, found: np.ndarray, expected: str) -> InputError:
        return InputError(
            f"{self.path}: {name} has shape {found.shape}, not {expected}; prepare this heart again"
        )


def _check_members(path: Path) -> None:
    """Check the sizes that an archive and its arrays' headers claim, before any array is read.

    Raises:
        ValueError: They are too large, or contradict each other.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > NPZ_BYTES:
            raise ValueError(f"its arrays have over {NPZ_BYTES} bytes")
        for member in members:
            if member.compress_type == zipfile.ZIP_DEFLATED:
                most = DEFLATE_RATIO * member.compress_size
                if member.file_size > most:
                    raise ValueError(f"{member.filename} claims more bytes than it can hold")
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("error", UserWarning)
                    shape, _, dtype = read(stream)
                claimed = stream.tell() + math.prod(shape) * dtype.itemsize
                if min(shape, default=0) < 0 or (
                    claimed != member.file_size and not dtype.hasobject
                ):
                    raise ValueError(f"{member.filename} has {member.file_size} of {claimed} bytes")
