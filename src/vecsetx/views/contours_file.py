"""Contours as labelled points in a CSV file, which ``vecsetx reconstruct`` reads."""

from collections.abc import Sequence
from pathlib import Path

from vecsetx.files import write_text
from vecsetx.formats.points import LabelledPoints

__all__ = ["write_points"]


def write_points(path: Path, points: LabelledPoints, structures: Sequence[str]) -> None:
    """Write labelled points as CSV, atomically: RAS, mm, with the structures' names.

    Args:
        path: The file.
        points: The points.
        structures: Names of the structures that they count.
    """
    names = [structures[index] for index in points.structure]
    rows = [
        f"{x:.4f},{y:.4f},{z:.4f},{name}"
        for (x, y, z), name in zip(points.points_mm.tolist(), names, strict=True)
    ]
    write_text(path, "\n".join(["# SPACE=RAS", "x,y,z,structure", *rows, ""]))
