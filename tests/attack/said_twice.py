"""Texts in which a line is there twice: as it is, with another number, or in other letters."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from attack.judge import Attack
from attack.material import Material
from attack.mutated_files import FORMATS, Format, command_on


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield attacks on the first lines of each format that is a text; the seed changes nothing."""
    for form in FORMATS:
        place = material.folder / form.damaged
        if b"\0" in place.read_bytes()[:64]:
            continue
        lines = place.read_bytes().split(b"\n")
        for number in range(min(count, len(lines))):
            for name, change in _CHANGES.items():
                changed = change(lines[number])
                if changed != lines[number] or name == "again":
                    yield "said twice", _attack(form, material, folder, number, name, changed)


def _attack(
    form: Format, material: Material, folder: Path, number: int, name: str, changed: bytes
) -> Attack:
    for copied in form.copied:
        material.copy(copied, folder)
    target = folder / form.damaged
    lines = target.read_bytes().split(b"\n")
    target.write_bytes(b"\n".join([*lines[: number + 1], changed, *lines[number + 1 :]]))
    words, out = command_on(form, material, number)
    return Attack(f"{form.name}, line {number} twice, {name}; {words[0]}", words, out)


_CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "again": lambda line: line,
    "with a huge number": lambda line: re.sub(rb"\d+", b"100000", line, count=1),
    "with a negative number": lambda line: re.sub(rb"\d+", b"-5", line, count=1),
    "in small letters": bytes.lower,
}
