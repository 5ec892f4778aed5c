"""Labelled points for a page's 3-D scenes and slices: which ones, and as what bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from vecsetx.anatomy.structures import structure
from vecsetx.report.figures import rgb
from vecsetx.report.packing import STEP_MM, gzip_base64, vertex_bytes

__all__ = ["SCENE_POINTS", "chips_of", "pack_cloud", "pack_points", "points_by_structure"]

SCENE_POINTS = 16_000
"""Most points of a heart on a page."""


def points_by_structure(
    points_mm: Float[np.ndarray, "n 3"],
    numbers: Integer[np.ndarray, " n"],
    structures: Sequence[str],
) -> dict[str, Float[np.ndarray, "m 3"]]:
    """Sort points by structure; only the first :data:`SCENE_POINTS` of them.

    Args:
        points_mm: Points in random order, RAS+ mm.
        numbers: Index 0…K−1 of each point's structure.
        structures: Names of the K structures.

    Returns:
        Name → its points; structures without any are left out.
    """
    points_mm, numbers = points_mm[:SCENE_POINTS], numbers[:SCENE_POINTS]
    return {structures[k]: points_mm[numbers == k] for k in np.unique(numbers).tolist()}


def pack_points(
    points_mm: Mapping[str, Float[np.ndarray, "m 3"]], low_mm: Float[np.ndarray, "3"]
) -> tuple[list[dict[str, Any]], bytes]:
    """Return the layout of the points of each structure, and their bytes.

    Args:
        points_mm: Name → points, RAS+ mm.
        low_mm: Lower corner of a box that contains them.
    """
    layout = [{"name": name, "points": len(points)} for name, points in points_mm.items()]
    return layout, b"".join(vertex_bytes(points, low_mm) for points in points_mm.values())


def pack_cloud(points_mm: Mapping[str, Float[np.ndarray, "m 3"]]) -> tuple[dict[str, Any], str]:
    """Return the layout of a scene of points alone, and the points: gzip in base64.

    Args:
        points_mm: Name → points, RAS+ mm.
    """
    every = np.concatenate([np.zeros((0, 3)), *points_mm.values()])
    low_mm = np.floor(every.min(axis=0)) if len(every) else np.zeros(3)
    high_mm = np.ceil(every.max(axis=0)) if len(every) else np.zeros(3)
    layout, data = pack_points(points_mm, low_mm)
    box = {"low": low_mm.tolist(), "high": high_mm.tolist(), "step": STEP_MM}
    return {**box, "points": layout}, gzip_base64(data)


def chips_of(names: Sequence[str]) -> list[dict[str, str]]:
    """Name, title and colour of each structure, for the buttons that show and hide them."""
    return [{"name": name, "title": structure(name).title, "color": rgb(name)} for name in names]
