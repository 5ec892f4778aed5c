"""Hearts for the viewer of the score page: meshes, distances and voxels, small enough for email."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import igl
import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.reconstruction.surfaces import Surface, decimate
from vecsetx.report.packing import STEP_MM, face_bytes, gzip_base64, in_order_of_use, vertex_bytes
from vecsetx.report.point_cloud import chips_of, pack_points

__all__ = [
    "DISTANCE_STEP_MM",
    "MAX_FACES",
    "HeartView",
    "PackedHeart",
    "pack_heart",
    "structures_shown",
]

MAX_FACES = 24_000
"""Maximum number of triangles per heart and side; finer surfaces are simplified for the page."""

_MAX_VOXELS = 112
"""Maximum number of voxels along the longest side; finer label maps are resampled coarser."""

_MARGIN_MM = 6.0
"""Margin around the heart."""

DISTANCE_STEP_MM = 0.08
"""Distances are rounded to multiples of this and truncated at 127 of them, about 10 mm."""

_NO_COUNTERPART = -128
"""Stored instead of a distance where the other side lacks the structure."""


@dataclass(frozen=True, slots=True)
class HeartView:
    """One heart to show in the viewer.

    Attributes:
        name: The heart's name.
        truth: Structure → true surface.
        reconstruction: Structure → reconstructed surface.
        dice: Mean Dice over this heart's structures; NaN if none was scored.
        input_map: The model's input, labels 1…K in the order of ``structures``; None if the input
            was not a label map.
        structures: Names of the K structures.
        inferred: Structures that were not in the input: hidden from the model, or not annotated.
        points: Structure → points on its surface, RAS+ mm: the input, if that has no surfaces.
    """

    name: str
    truth: Mapping[str, Surface]
    reconstruction: Mapping[str, Surface]
    dice: float
    input_map: LabelMap | None = None
    structures: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()
    points: Mapping[str, Float[np.ndarray, "n 3"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackedHeart:
    """A heart as stored in a page: a few hundred kB, while its view takes tens of MB.

    Attributes:
        name: The heart's name.
        dice: Mean Dice; NaN if no structure was scored.
        structures: Names of the structures of either side.
        layout: Layout of ``blob`` as plain data; ``unpack_heart.js`` reads it.
        blob: Meshes, distances and voxels: gzip in base64.
    """

    name: str
    dice: float
    structures: tuple[str, ...]
    layout: Mapping[str, Any]
    blob: str


def pack_heart(view: HeartView) -> PackedHeart:
    """Pack a heart for a page: simplified meshes, distances between the sides, coarse voxels."""
    sides = {
        "truth": _simplified(view.truth),
        "reconstruction": _simplified(view.reconstruction),
    }
    surfaces_mm = [surface.vertices_mm for side in sides.values() for surface in side.values()]
    low_mm, high_mm = _box([*surfaces_mm, *view.points.values()])
    parts: list[bytes] = []
    layout: dict[str, Any] = {"low": low_mm.tolist(), "high": high_mm.tolist(), "step": STEP_MM}
    for side, surfaces in sides.items():
        other = view.reconstruction if side == "truth" else view.truth
        # Positive where the reconstruction extends beyond the truth: on the truth's side that is
        # inside the reconstruction, where signed distances are negative.
        sign = -1 if side == "truth" else 1
        layout[side] = []
        for name, surface in surfaces.items():
            mesh = {"name": name, "vertices": len(surface.vertices_mm), "faces": len(surface.faces)}
            layout[side].append(mesh)
            parts += [
                vertex_bytes(surface.vertices_mm, low_mm),
                face_bytes(surface.faces),
                _distance_bytes(surface, other.get(name), sign),
            ]
    layout["inferred"] = [name for name in view.reconstruction if name in view.inferred]
    layout["voxels"] = None
    if view.input_map is not None:
        voxels, layout["voxels"] = _voxels(view.input_map, view.structures, low_mm, high_mm)
        parts.append(voxels.tobytes(order="F"))
    layout["points"], points = pack_points(view.points, low_mm)
    parts.append(points)
    shown = (*sides.values(), view.points)
    names = tuple(dict.fromkeys(name for side in shown for name in side))
    return PackedHeart(view.name, view.dice, names, layout, gzip_base64(b"".join(parts)))


def structures_shown(hearts: Iterable[PackedHeart]) -> list[dict[str, str]]:
    """Name, title and colour of each structure in any of the hearts, in order of appearance."""
    return chips_of(list(dict.fromkeys(name for heart in hearts for name in heart.structures)))


def _simplified(surfaces: Mapping[str, Surface]) -> dict[str, Surface]:
    """Simplify surfaces to at most :data:`MAX_FACES` in total, in an order that compresses well."""
    # Budgets by the square root of the face count: in proportion to it, small structures such as
    # the coronary tree would get too few triangles and break.
    weights = {name: math.sqrt(len(surface.faces)) for name, surface in surfaces.items()}
    too_many = sum(len(surface.faces) for surface in surfaces.values()) > MAX_FACES
    per_weight = MAX_FACES / sum(weights.values()) if too_many else math.inf
    simplified = {}
    for name, surface in surfaces.items():
        budget = int(weights[name] * per_weight) if too_many else len(surface.faces)
        simple = decimate(surface, max(budget, 4))
        simplified[name] = Surface(*in_order_of_use(simple.vertices_mm, simple.faces))
    return simplified


def _distance_bytes(surface: Surface, other: Surface | None, sign: int) -> bytes:
    """Signed distance of each vertex to the other side, times ``sign``; one byte each."""
    if other is None or not len(other.faces):
        return np.full(len(surface.vertices_mm), _NO_COUNTERPART, dtype=np.int8).tobytes()
    signed_mm, *_ = igl.signed_distance(
        surface.vertices_mm.astype(np.float64),
        other.vertices_mm.astype(np.float64),
        other.faces,
        igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL,
    )
    steps = np.clip(np.rint(sign * signed_mm / DISTANCE_STEP_MM), -127, 127)
    return steps.astype(np.int8).tobytes()


def _voxels(
    input_map: LabelMap,
    structures: tuple[str, ...],
    low_mm: Float[np.ndarray, "3"],
    high_mm: Float[np.ndarray, "3"],
) -> tuple[np.ndarray, dict[str, Any]]:
    """Resample the input on a grid along the patient's axes; also return the grid's layout."""
    spacing_mm = max(
        float(input_map.spacing_mm.min()), float((high_mm - low_mm).max()) / _MAX_VOXELS
    )
    shape = np.ceil((high_mm - low_mm) / spacing_mm).astype(int)
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    # Sampled at the centres of the new voxels.
    labels = input_map.at(low_mm + (indices.reshape(-1, 3) + 0.5) * spacing_mm)
    layout = {"shape": shape.tolist(), "spacing": spacing_mm, "structures": list(structures)}
    return labels.astype(np.uint8).reshape(tuple(shape)), layout


def _box(clouds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Corners, in whole mm, of a box around all points with a margin."""
    parts = [cloud for cloud in clouds if len(cloud)]
    points = np.concatenate(parts).astype(np.float64) if parts else np.zeros((1, 3))
    return np.floor(points.min(axis=0) - _MARGIN_MM), np.ceil(points.max(axis=0) + _MARGIN_MM)
