"""Arrays in VTK's XML files, decoded within the bounds of the file.

VTK's own reader takes whatever memory a header claims, and ends the process where there is not as
much. An array is text, or binary: base64 within the XML, or appended behind it, as base64 or raw. A
binary array begins with its number of bytes; if it is compressed, with the number of its blocks,
the size of a block and of the last one, and the compressed size of each (VTK User's Guide, "XML
file formats").
"""

import base64
import binascii
import lzma
import math
import re
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from vecsetx.limits import DEFLATE_RATIO, MESH_ITEMS
from vecsetx.plain_data import is_whole_number

__all__ = ["ArrayReader", "whole_number"]

_TYPES = {
    **{f"Int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)},
    **{f"UInt{8 * size}": f"u{size}" for size in (1, 2, 4, 8)},
    "Float32": "f4",
    "Float64": "f8",
    "String": "u1",  # bytes, signed where written as numbers; a zero ends each text
}
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_COMPRESSORS = ("", "vtkZLibDataCompressor", "vtkLZMADataCompressor", "vtkLZ4DataCompressor")
_LZMA_MEMORY = 1 << 27

_Decode = Callable[[memoryview, int], bytes]
"""Returns a number of bytes of an array from what is stored."""


def whole_number(text: str | None, name: str, most: int = MESH_ITEMS) -> int:
    """Return a whole number from a file.

    Args:
        text: Its digits; None counts as 0.
        name: What it counts, for the message.
        most: Largest value.

    Raises:
        ValueError: It is none, or too large.
    """
    word = "0" if text is None else text.strip()
    if not is_whole_number(word) or int(word) > most:
        raise ValueError(f"{name} is {word[:40]!r}, not a whole number up to {most}")
    return int(word)


@dataclass(frozen=True, slots=True)
class ArrayReader:
    """Reads the elements ``DataArray`` of one file.

    Attributes:
        order: Byte order, ``<`` or ``>``.
        word: Bytes of each number that precedes a binary array, 4 or 8.
        compressor: Name of VTK's class, or empty.
        appended: What is appended behind the XML.
        is_raw: Whether that is raw; else it is base64.
    """

    order: str
    word: int
    compressor: str
    appended: bytes
    is_raw: bool

    @classmethod
    def of(cls, root: Element, appended: bytes, is_raw: bool) -> "ArrayReader":
        """Return the reader for a file with this root element.

        Raises:
            ValueError: Its byte order, type of header or compressor is unknown.
        """
        order = {"LittleEndian": "<", "BigEndian": ">"}.get(root.get("byte_order", "LittleEndian"))
        word = {"UInt32": 4, "UInt64": 8}.get(root.get("header_type", "UInt32"))
        compressor = root.get("compressor", "")
        if order is None or word is None or compressor not in _COMPRESSORS:
            raise ValueError("its byte order, header type or compressor is unknown")
        return cls(order, word, compressor, appended, is_raw)

    def read(self, array: Element, rows: int | None = None) -> np.ndarray:
        """Return an array's numbers ``[rows, components]``, or ``[N]`` if ``rows`` is None.

        Raises:
            ValueError, zlib.error, lzma.LZMAError: It is damaged, or not as long as it should be.
        """
        kind = _TYPES.get(array.get("type", ""))
        if kind is None:
            raise ValueError(f"array {array.get('Name')!r} has unknown type {array.get('type')!r}")
        dtype = np.dtype(self.order + kind)
        columns = whole_number(array.get("NumberOfComponents", "1"), "NumberOfComponents", 1000)
        count = None if rows is None else rows * columns
        most = MESH_ITEMS if count is None else count
        form = array.get("format", "ascii")
        if form == "ascii":
            is_text = array.get("type") == "String"
            values = _numbers(array.text or "", np.dtype(np.int8) if is_text else dtype)
        elif form in ("binary", "appended"):
            values = self._binary(array, form == "appended", most * dtype.itemsize, dtype)
        else:
            raise ValueError(f"array {array.get('Name')!r} has unknown format {form!r}")
        if len(values) > most or (count is not None and len(values) != count):
            raise ValueError(
                f"array {array.get('Name')!r} has {len(values)} numbers, not "
                f"{most if count is None else count}"
            )
        return values if rows is None else values.reshape(rows, columns)

    def _binary(
        self, array: Element, is_appended: bool, most_bytes: int, dtype: np.dtype[Any]
    ) -> np.ndarray:
        if is_appended:
            offset = whole_number(array.get("offset"), "offset", len(self.appended))
            stored = memoryview(self.appended)[offset:]
            decode: _Decode = _raw if self.is_raw else _base64
        else:
            stored = memoryview((array.text or "").strip().encode("ascii", "replace"))
            decode = _base64
        content = self._bytes(stored, decode, most_bytes)
        if len(content) % dtype.itemsize:
            raise ValueError(f"array {array.get('Name')!r} ends within a number")
        return np.frombuffer(content, dtype)

    def _bytes(self, stored: memoryview, decode: _Decode, most: int) -> bytes:
        """Return an array's bytes, decompressed."""
        if not self.compressor:
            (size,) = self._words(decode(stored, self.word), 1)
            _check(size, min(most, len(stored)))
            return decode(stored, self.word + size)[self.word :]
        count, block, last = self._words(decode(stored, 3 * self.word), 3)
        if count == 0:
            return b""
        _check(count, len(stored))
        sizes = self._words(decode(stored, (3 + count) * self.word), 3 + count)[3:]
        full = block * (count - 1) + (last or block)
        _check(full, min(most, sum(sizes) * DEFLATE_RATIO))
        _check(sum(sizes), len(stored))
        head = (3 + count) * self.word
        start = head if decode is _raw else 4 * math.ceil(head / 3)
        packed = decode(stored[start:], sum(sizes))
        parts, begin = [], 0
        for number, size in enumerate(sizes):
            expected = (last or block) if number == count - 1 else block
            parts.append(_unpacked(packed[begin : begin + size], expected, self.compressor))
            begin += size
        return b"".join(parts)

    def _words(self, content: bytes, count: int) -> list[int]:
        words: list[int] = np.frombuffer(content, f"{self.order}u{self.word}", count).tolist()
        return words


def _raw(stored: memoryview, size: int) -> bytes:
    """Return the first bytes of an array."""
    if size > len(stored):
        raise ValueError("its data are truncated")
    return bytes(stored[:size])


def _base64(stored: memoryview, size: int) -> bytes:
    """Return the first bytes of an array in base64, of which each part ends with padding."""
    # Padding, twice, and spaces.
    text = bytes(stored[: 4 * (math.ceil(size / 3) + 4)])
    try:
        parts = [base64.b64decode(part[: len(part) // 4 * 4]) for part in _BASE64.findall(text)]
    except binascii.Error as error:
        raise ValueError(f"its base64 is damaged ({error})") from error
    return _raw(memoryview(b"".join(parts)), size)


def _unpacked(packed: bytes, size: int, compressor: str) -> bytes:
    """Return a block of ``size`` bytes.

    Raises:
        ValueError, zlib.error, lzma.LZMAError: It is damaged, or has another size.
    """
    if compressor == "vtkZLibDataCompressor":
        found = zlib.decompressobj().decompress(packed, size + 1)
    elif compressor == "vtkLZMADataCompressor":
        found = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(packed, size + 1)
    else:
        from vtkmodules.vtkIOCore import vtkLZ4DataCompressor

        target = bytearray(size)
        done = vtkLZ4DataCompressor().Uncompress(packed, len(packed), target, size)
        found = bytes(target[:done])
    if len(found) != size:
        raise ValueError(f"a compressed block has {len(found)} bytes or more, not {size}")
    return found


def _numbers(text: str, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the numbers in a text."""
    whole = dtype.kind in "iu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy would stop at what is no number
        try:
            found = np.fromstring(text, np.int64 if whole else np.float64, sep=" ")
        except DeprecationWarning as warning:
            raise ValueError("its text has what is no number") from warning
    typed = found.astype(dtype)
    if whole and (typed != found).any():
        raise ValueError(f"its text has numbers beyond {dtype}")
    return typed


def _check(claimed: int, most: int) -> None:
    if claimed > most:
        raise ValueError(f"an array claims {claimed} bytes or blocks, of at most {most}")
