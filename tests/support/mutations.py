"""Damaged copies of a file."""

import numpy as np


def mutations(
    whole: bytes, generator: np.random.Generator, count: int, near: int = 700
) -> list[bytes]:
    """Truncate a file at every fiftieth, and flip bits, swap numbers and repeat parts of it.

    Args:
        whole: The file.
        generator: Draws the mutations.
        count: Number of mutations beside the truncated files.
        near: Most are within this number of first bytes: headers decide what is read.
    """
    found = [whole[: len(whole) * k // 50] for k in range(50)]
    near = min(len(whole), near)
    for number in range(count):
        changed = bytearray(whole)
        for _ in range(1 + number % 3):
            place = int(generator.integers(near if number % 4 else len(whole)))
            match number % 5:
                case 0 | 1:
                    changed[place] ^= 1 << int(generator.integers(8))
                case 2:
                    changed[place] = int(generator.choice(list(b"09-.x,\n\xff\0\x7f e")))
                case 3:
                    word = generator.choice([b"nan", b"-1", b"1e30", b"99999999999", b"inf"])
                    changed[place : place + 2] = bytes(word)
                case _:
                    changed[place : place + 4] = generator.bytes(4)
        found.append(bytes(changed))
    return found
