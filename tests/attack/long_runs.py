"""Texts with a run of equal pieces: what reads them may take the run's length in time, no more."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attack.judge import Attack
from attack.material import Material
from attack.mutated_files import FORMATS, Format, command_on

_RUN_BYTES = 400_000
_PIECES = (b" ", b"\n", b"a", b"0", b'"', b"#", b"<a ", b",", b"k: ", b"\\", b"-")
_WORST = {
    "NRRD": (1, b" "),
    "MetaImage": (0, b"\n"),
    "mesh VTP": (1, b"<AppendedData "),
    "points CSV": (0, b"\n"),
}
"""Format → place and piece that once took the square or the cube of the run's length."""


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield up to ``count`` attacks on each format that is a text, the worst ones first.

    With a ``count`` of 1, only the worst ones.
    """
    for form in FORMATS:
        place = material.folder / form.damaged
        if b"\0" in place.read_bytes()[:64]:
            continue
        worst = [_WORST[form.name]] if form.name in _WORST else []
        others = [(line, piece) for line in range(4) for piece in _PIECES]
        rng = np.random.default_rng([seed, zlib.crc32(form.name.encode())])
        cases = worst + [others[n] for n in rng.permutation(len(others))]
        for line, piece in cases[:count] if count > 1 else worst:
            yield "long runs", _attack(form, material, folder, line, piece)


def _attack(form: Format, material: Material, folder: Path, line: int, piece: bytes) -> Attack:
    for name in form.copied:
        material.copy(name, folder)
    target = folder / form.damaged
    data = target.read_bytes()
    start = 0
    for _ in range(line):
        start = data.find(b"\n", start) + 1 or start
    run = piece * (_RUN_BYTES // len(piece))
    target.write_bytes(data[:start] + run + b"\n" * (line % 2) + data[start:])
    words, out = command_on(form, material, 0)
    return Attack(f"{form.name}: {piece!r} again and again in line {line}; {words[0]}", words, out)
