"""Continuity of a completed heart at the edge of the field of view."""

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import inside
from vecsetx.geometry.view import EDGE_VOXELS
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances

_ASIDE_MM = 0.005
"""The field is evaluated this far on each side of the edge."""

_MARGIN_MM = 15.0
"""Surfaces are searched this far around the observed structures that reach an edge."""


def seams_mm(
    field: DistanceField, scan: LabelMap, spacing_mm: float = 0.5
) -> Float[np.ndarray, " k"]:
    """Measure the largest step in each structure's surface at the edge of the field of view.

    Crossings of the surface with the six faces of the field of view are searched on both sides of
    each face. The step at a crossing is the jump of the distance from one side to the other, which
    is how far the surface moves there. Surfaces are those of the exclusive distances, as in meshes.

    Args:
        field: A completed heart, K structures.
        scan: Labels 1…K of what was observed; the edge is that of its grid.
        spacing_mm: Spacing of the lines along which crossings are searched.

    Returns:
        The largest step of each structure, mm; 0 if no surface crosses.
    """
    seams = np.zeros(len(field.structures))
    mm_per_index = scan.spacing_mm
    first = np.full(3, EDGE_VOXELS - 0.5)
    last = np.array(scan.shape) - 1 - first
    if (last <= first).any():
        return seams  # the scan is too thin to have a field of view
    for axis in range(3):
        aside = np.zeros(3)
        aside[axis] = _ASIDE_MM / mm_per_index[axis]
        for end, place in ((0, first[axis]), (-1, last[axis])):
            touching = np.argwhere(np.take(scan.labels, end, axis))
            if len(touching) == 0:
                continue
            indices = _on_face(axis, place, touching, first, last, mm_per_index, spacing_mm)
            here, there = (
                exclusive_distances(
                    field.distances_mm(scan.to_mm((indices + step).reshape(-1, 3)))
                ).reshape(*indices.shape[:2], -1)
                for step in (-aside, aside)
            )
            for k in range(len(seams)):
                seams[k] = max(seams[k], _largest_jump(here[..., k], there[..., k]))
    return seams


def _on_face(
    axis: int,
    place: float,
    touching: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    mm_per_index: np.ndarray,
    spacing_mm: float,
) -> Float[np.ndarray, "a b 3"]:
    """Return voxel indices of a lattice on one face, around the voxels that touch that edge."""
    others = [other for other in range(3) if other != axis]
    lines = []
    for other, touched in zip(others, touching.T, strict=True):
        margin = _MARGIN_MM / mm_per_index[other]
        low = max(touched.min() - margin, first[other])
        high = min(touched.max() + margin, last[other])
        count = max(int((high - low) * mm_per_index[other] / spacing_mm), 1) + 1
        lines.append(np.linspace(low, high, count))
    indices = np.empty((len(lines[0]), len(lines[1]), 3))
    indices[..., axis] = place
    indices[..., others[0]], indices[..., others[1]] = np.meshgrid(*lines, indexing="ij")
    return indices


def _largest_jump(here: Float[np.ndarray, "a b"], there: Float[np.ndarray, "a b"]) -> float:
    """Return the largest ``|there - here|`` where either crosses 0 between two neighbours."""
    largest = 0.0
    for side in (here, there):
        for axis in range(2):
            one, other = (np.moveaxis(values, axis, 0) for values in (side, there - here))
            crosses = inside(one[1:]) != inside(one[:-1])
            before, after = np.abs(one[:-1][crosses]), np.abs(one[1:][crosses])
            share = before / np.maximum(before + after, np.finfo(np.float32).tiny)
            jumps = (1 - share) * other[:-1][crosses] + share * other[1:][crosses]
            largest = max(largest, float(np.abs(jumps).max(initial=0.0)))
    return largest
