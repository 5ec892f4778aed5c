"""Damage to the bytes of a file: flips, cuts, exchanges, sizes and nonsense."""

import gzip
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np

_HEADER_BYTES = 512  # where most formats keep their sizes; half of the damage goes there
_BLOCK_BYTES = 1 << 22
_WORDS = (b"0", b"-1", b"nan", b"inf", b"1e30", b"99999999999999999999", b"", b"null", b"../x")
_NUMBERS = (
    *(np.array(n, t).tobytes() for t in ("<i2", ">i2") for n in (0, -1, 2**15 - 1)),
    *(np.array(n, t).tobytes() for t in ("<i4", ">i4") for n in (0, -1, 2**31 - 1, 2000)),
    *(np.array(n, t).tobytes() for t in ("<i8", ">i8") for n in (0, -1, 2**62)),
    *(
        np.array(n, t).tobytes()
        for t in ("<f4", ">f4", "<f8", ">f8")
        for n in (np.nan, np.inf, 0, -1, 1e30, 1e-20)
    ),
)
_BRACKETS = (b"[", b"{", b"(", b"<", b'"', b"'", b"&a ", b"*a ", b"- ", b"\xff", b"\0")

Damage = Callable[[bytes, np.random.Generator], tuple[bytes, str]]


def damaged(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Return other bytes than the file's, and a word for what was done.

    What is compressed with gzip is mostly damaged within, and compressed again.
    """
    packed = data[:2] == b"\x1f\x8b" and rng.random() < 0.8
    inner = gzip.decompress(data) if packed else data
    text = _is_text(inner)
    kinds: tuple[Damage, ...] = (_flip, _cut, _exchange, _repeat, _number)
    if text:
        kinds = (_flip, _cut, _exchange, _repeat, _word, _word, _brackets)
    while True:
        made, what = kinds[rng.integers(len(kinds))](inner, rng)
        if made != inner:
            break
    if packed:
        return gzip.compress(made, 1, mtime=0), f"{what}, within gzip"
    return made, what


def swollen_gzip(data: bytes, zeros: int) -> bytes:
    """Append a number of zeros to what a gzip file holds, a thousandth of it in size."""
    inner, block = gzip.decompress(data), bytes(_BLOCK_BYTES)
    first = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = first.compress(inner) + first.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers to what came before: the same piece can follow itself.
    again = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = again.compress(block) + again.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(inner)
    for _ in range(zeros // _BLOCK_BYTES):
        check = zlib.crc32(block, check)
    size = len(inner) + zeros // _BLOCK_BYTES * _BLOCK_BYTES
    end = b"\x03\x00" + struct.pack("<II", check, size % (1 << 32))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + packed + piece * (zeros // _BLOCK_BYTES) + end


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:4096]


def _place(data: bytes, rng: np.random.Generator) -> int:
    end = min(len(data), _HEADER_BYTES) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(end, 1)))


def _flip(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    made, count = bytearray(data), int(rng.integers(1, 9))
    for _ in range(count):
        made[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(made), f"{count} bits flipped"


def _cut(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    end = _place(data, rng)
    return data[:end], f"cut after {end} bytes"


def _exchange(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    size = int(rng.integers(1, 9))
    one, other = sorted((_place(data, rng), _place(data, rng)))
    if other - one < size:
        return data, "nothing"
    first, second = data[one : one + size], data[other : other + size]
    made = data[:one] + second + data[one + size : other] + first + data[other + size :]
    return made, f"{size} bytes at {one} and {other} exchanged"


def _repeat(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    size, start = int(rng.integers(1, 65)), _place(data, rng)
    piece = data[start : start + size]
    if rng.random() < 0.5:
        return data[:start] + data[start + size :], f"{size} bytes left out at {start}"
    return data[:start] + piece + data[start:], f"{size} bytes twice at {start}"


def _number(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    number = _NUMBERS[rng.integers(len(_NUMBERS))]
    start = _place(data, rng) // 2 * 2
    return data[:start] + number + data[start + len(number) :], f"0x{number.hex()} at {start}"


def _word(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Put another number or word in the place of one."""
    places = [found.span() for found in re.finditer(rb"[\w.+-]+", data[: 1 << 20])]
    if not places:
        return data, "nothing"
    start, end = places[rng.integers(len(places))]
    word = _WORDS[rng.integers(len(_WORDS))]
    return data[:start] + word + data[end:], f"{data[start:end]!r} at {start} is {word!r}"


def _brackets(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    bracket = _BRACKETS[rng.integers(len(_BRACKETS))]
    count, start = int(10 ** rng.uniform(0, 5)), _place(data, rng)
    return data[:start] + bracket * count + data[start:], f"{count} × {bracket!r} at {start}"
