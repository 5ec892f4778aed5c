"""Numbers of frames in sentences."""

from collections.abc import Iterable

__all__ = ["named_frames"]


def named_frames(numbers: Iterable[int]) -> str:
    """Name frames in order, three or more in a row by the first and the last: ``frames 1-3, 7``."""
    rows: list[list[int]] = []
    for number in sorted(numbers):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    parts = [f"{row[0]}-{row[-1]}" if len(row) > 2 else ", ".join(map(str, row)) for row in rows]
    return f"frame{'s' * (sum(map(len, rows)) > 1)} {', '.join(parts)}"
