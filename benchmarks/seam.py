"""How well a completed heart fits together where the scan ends."""

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import inside
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.sampling.view import EDGE_VOXELS

_ASIDE_MM = 0.005
"""So far to each side of the edge the field is asked."""

_ROOM_MM = 15.0
"""So far around the observed structures that reach an edge it is searched for surfaces."""


def seams_mm(
    field: DistanceField, scan: LabelMap, spacing_mm: float = 0.5
) -> Float[np.ndarray, " k"]:
    """The largest step in each structure's surface at the edge of the field of view.

    The places where the surface crosses one of the six faces of the field of view are looked for on
    both sides of the face. The step there is the jump of the distance from one side to the other:
    so far has the surface to go to be the surface on the other side. A surface is that of the
    exclusive distances, which meshes are made of.

    Args:
        field: What to look at, K structures.
        scan: Labels 1…K of what was observed; its grid has the edge.
        spacing_mm: Of the lines along which crossings are looked for.

    Returns:
        The steps, mm; 0 where no surface crosses.
    """
    seams = np.zeros(len(field.structures))
    mm_per_index = scan.spacing_mm
    first = np.full(3, EDGE_VOXELS - 0.5)
    last = np.array(scan.shape) - 1 - first
    if (last <= first).any():
        return seams  # the scan shows nothing
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
    """Voxel indices of a lattice on one face, about the voxels that touch the edge there."""
    others = [other for other in range(3) if other != axis]
    lines = []
    for other, touched in zip(others, touching.T, strict=True):
        room = _ROOM_MM / mm_per_index[other]
        low = max(touched.min() - room, first[other])
        high = min(touched.max() + room, last[other])
        count = max(int((high - low) * mm_per_index[other] / spacing_mm), 1) + 1
        lines.append(np.linspace(low, high, count))
    indices = np.empty((len(lines[0]), len(lines[1]), 3))
    indices[..., axis] = place
    indices[..., others[0]], indices[..., others[1]] = np.meshgrid(*lines, indexing="ij")
    return indices


def _largest_jump(here: Float[np.ndarray, "a b"], there: Float[np.ndarray, "a b"]) -> float:
    """The largest ``|there - here|`` where either crosses 0 between two neighbours."""
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
