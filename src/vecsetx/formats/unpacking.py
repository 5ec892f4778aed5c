"""Files of voxels, unpacked only as far as a header asks for.

A few bytes of gzip can stand for a thousand times as many, and bzip2 for a million times as many.
What a header claims is therefore compared with the file before memory is taken, and nothing far
behind the voxels is unpacked.
"""

import bz2
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecsetx.errors import InputError
from vecsetx.limits import DEFLATE_RATIO, LAYERS, TRAILING_BYTES
from vecsetx.special_files import check_no_device

__all__ = ["Unpacked", "check_voxel_count"]

_CHUNK = 1 << 18
_STEP = 1 << 20
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_ANY_HEADER = 47  # zlib recognizes gzip and zlib


def check_voxel_count(shape: Sequence[int], values_per_voxel: int, most: int, path: Path) -> None:
    """Check how many voxels a header claims.

    Args:
        shape: Number of voxels along each axis.
        values_per_voxel: Number of values per voxel.
        most: Most voxels that are read.
        path: The file, for error messages.

    Raises:
        InputError: They are too many.
    """
    voxels = math.prod(map(int, shape))
    if voxels <= most and voxels * values_per_voxel <= LAYERS * most:
        return
    size = " × ".join(str(n) for n in shape)
    layers = f" with {values_per_voxel} values each" if values_per_voxel > 1 else ""
    raise InputError(
        f"{path}: its header claims {size} voxels{layers}, more than the {most} that are read; "
        "crop it to the heart, or raise --max-voxels"
    )


class Unpacked(io.RawIOBase):
    """A file's bytes from a position on, unpacked as they are read.

    It can go back only to bytes that were read by :meth:`keep`.

    Args:
        path: The file.
        start: Position of its first byte.
        encoding: ``raw``, ``text``, ``gzip`` (also zlib), ``deflate`` or ``bzip2``; None: gzip if
            the file begins so, else raw.

    Raises:
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path, start: int = 0, encoding: str | None = None) -> None:
        super().__init__()
        self.path = path
        check_no_device(path)
        self._file = open(path, "rb")  # noqa: SIM115 - closed with this object
        self._packed_bytes = max(path.stat().st_size - start, 0)
        if encoding is None:
            encoding = "gzip" if self._file.read(len(_GZIP)) == _GZIP else "raw"
        self.encoding = encoding
        self._file.seek(start)
        self._decoder: Any = self._new_decoder()
        self._packed = b""
        self._head = b""
        self._unpacked = 0  # position up to which the file is unpacked
        self._position = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def check_claim(self, claimed: int) -> None:
        """Check that the file can hold a number of bytes.

        Args:
            claimed: Number of bytes from its first one on.

        Raises:
            EOFError: It cannot.
        """
        if claimed <= self.holds():
            return
        if self.encoding == "raw":
            raise EOFError(f"truncated, has {self._packed_bytes} of {claimed} bytes")
        raise EOFError(
            f"its header claims {claimed} bytes, more than {self._packed_bytes} compressed bytes "
            "can hold"
        )

    def holds(self) -> int:
        """Return the most bytes that the file can hold; only bzip2 has no such bound."""
        if self.encoding == "bzip2":
            return 1 << 62
        return self._packed_bytes * (DEFLATE_RATIO if self._is_deflate else 1)

    def skip(self, count: int) -> int:
        """Read ``count`` bytes and forget them; return how many there were."""
        found = 0
        while found < count and (part := self._more(min(count - found, _STEP))):
            found += len(part)
        self._position += found
        return found

    def keep(self, count: int) -> bytes:
        """Return the first bytes, up to ``count``, to which reading can go back.

        It must be called before anything else is read.
        """
        self._head += self._more(count - len(self._head))
        return self._head[:count]

    def check_end(self) -> tuple[str, ...]:
        """Return a remark if the file does not end here, which its header says it does.

        The end of a compressed file holds a checksum, which is verified. To reach it, at most
        :data:`TRAILING_BYTES` more are unpacked.

        Raises:
            EOFError: The file is truncated.
            ValueError: More than these bytes are left.
        """
        if self._decoder is None:
            left = self._packed_bytes - self._position
        else:
            left = len(self._more(TRAILING_BYTES + 1))
            if left > TRAILING_BYTES:
                raise ValueError(
                    f"it holds more than the {self._position} bytes of its header's claim"
                )
        if left <= 0:
            return ()
        return (
            f"{left:,} bytes follow the voxels that the header describes; unless they are "
            "padding, the header or the voxels are damaged",
        )

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True; see :meth:`seek`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position from the start: one that was kept, or one ahead."""
        if whence != io.SEEK_SET or not (
            0 <= offset <= len(self._head) or offset >= self._unpacked
        ):
            raise io.UnsupportedOperation("can only go ahead")
        self._position = offset
        return offset

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; fewer bytes only at the end of the file.

        Raises:
            EOFError, OSError, zlib.error: The compressed bytes are damaged or truncated.
        """
        view = memoryview(buffer).cast("B")
        kept = self._head[self._position : self._position + len(view)]
        view[: len(kept)] = kept
        done, self._position = len(kept), self._position + len(kept)
        while self._unpacked < self._position:
            if not self._more(min(self._position - self._unpacked, _STEP)):
                return done
        while done < len(view) and (part := self._more(min(len(view) - done, _STEP))):
            view[done : done + len(part)] = part
            done, self._position = done + len(part), self._position + len(part)
        return done

    def _more(self, most: int) -> bytes:
        """Unpack at most ``most`` bytes; none only if there are no more."""
        parts = []
        while most > 0 and (part := self._next(most)):
            parts.append(part)
            most -= len(part)
            self._unpacked += len(part)
        return b"".join(parts)

    def _next(self, most: int) -> bytes:
        """Unpack some bytes; none only if there are no more."""
        if self._decoder is None:
            return self._file.read(most)
        while True:
            if self._decoder.eof and not self._next_member():
                return b""
            if not self._packed and self._wants_input():
                self._packed = self._file.read(_CHUNK)
                if not self._packed:
                    raise EOFError("its compressed bytes are truncated")
            packed, self._packed = self._packed, b""
            part: bytes = self._decoder.decompress(packed, most)
            if self._is_deflate:
                self._packed = self._decoder.unconsumed_tail
            if part:
                return part

    def _wants_input(self) -> bool:
        return self._is_deflate or bool(self._decoder.needs_input)

    def _next_member(self) -> bool:
        """Go on with the next part of a file of several compressed parts, if there is one."""
        if self.encoding == "deflate":
            return False
        magic = _GZIP if self.encoding == "gzip" else _BZIP2
        rest: bytes = self._decoder.unused_data
        if len(rest) < len(magic):
            rest += self._file.read(_CHUNK)
        if not rest.startswith(magic):
            return False
        self._decoder, self._packed = self._new_decoder(), rest
        return True

    def _new_decoder(self) -> Any:
        if self.encoding in ("raw", "text"):
            return None
        if self.encoding == "bzip2":
            return bz2.BZ2Decompressor()
        return zlib.decompressobj(-zlib.MAX_WBITS if self.encoding == "deflate" else _ANY_HEADER)

    @property
    def _is_deflate(self) -> bool:
        return self.encoding in ("gzip", "deflate")
