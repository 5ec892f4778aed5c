"""Hearts for the score page: meshes, distances and voxels, small enough to be mailed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import igl
import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.reconstruction.surfaces import Surface, decimate
from vecsetx.report.figures import rgb
from vecsetx.report.packing import STEP_MM, face_bytes, in_order_of_use, packed, vertex_bytes

MAX_FACES = 24_000
"""Triangles shown per heart and side; finer surfaces are simplified for the page."""

MAX_VOXELS = 112
"""Voxels of the input along the longest side; finer label maps are shown coarser."""

MARGIN_MM = 6.0
"""Shown around the heart."""

DISTANCE_STEP_MM = 0.08
"""Distances are rounded to multiples of it, up to 127 of them."""

_NO_COUNTERPART = -128


@dataclass(frozen=True, slots=True)
class HeartView:
    """One heart to look at.

    Attributes:
        name: The heart's name.
        truth: Structure → true surface.
        reconstruction: Structure → the model's surface.
        dice: Mean Dice over this heart's structures; NaN where none was scored.
        shown: What the model was shown, labels 1…K in the order of ``structures``; None if that was
            no label map.
        structures: Names of the K structures.
        inferred: Those that the model was not shown: hidden from it, or not annotated.
    """

    name: str
    truth: Mapping[str, Surface]
    reconstruction: Mapping[str, Surface]
    dice: float
    shown: LabelMap | None = None
    structures: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackedHeart:
    """A heart as it travels in a page: a few hundred kB, where a view takes tens of MB.

    Attributes:
        name: The heart's name.
        dice: As of the view.
        structures: Names of those that either side has.
        layout: What lies where in ``blob``, as JSON; ``unpack_heart.js`` reads it.
        blob: Meshes, distances and voxels: gzip in base64.
    """

    name: str
    dice: float
    structures: tuple[str, ...]
    layout: Mapping[str, Any]
    blob: str


def pack_heart(view: HeartView) -> PackedHeart:
    """Make a heart small: simplified meshes, their distances from each other, coarse voxels."""
    sides = {
        "truth": _simplified(view.truth),
        "reconstruction": _simplified(view.reconstruction),
    }
    low_mm, high_mm = _box([*sides["truth"].values(), *sides["reconstruction"].values()])
    parts: list[bytes] = []
    layout: dict[str, Any] = {"low": low_mm.tolist(), "high": high_mm.tolist(), "step": STEP_MM}
    for side, surfaces in sides.items():
        other = view.reconstruction if side == "truth" else view.truth
        # Beyond the truth is positive on both sides: the truth's own view of it is turned round.
        turn = -1 if side == "truth" else 1
        layout[side] = []
        for name, surface in surfaces.items():
            mesh = {"name": name, "vertices": len(surface.vertices_mm), "faces": len(surface.faces)}
            layout[side].append(mesh)
            parts += [
                vertex_bytes(surface.vertices_mm, low_mm),
                face_bytes(surface.faces),
                _distance_bytes(surface, other.get(name), turn),
            ]
    layout["inferred"] = [name for name in view.reconstruction if name in view.inferred]
    layout["voxels"] = None
    if view.shown is not None:
        voxels, layout["voxels"] = _voxels(view.shown, view.structures, low_mm, high_mm)
        parts.append(voxels.tobytes(order="F"))
    names = tuple(dict.fromkeys(name for side in sides.values() for name in side))
    return PackedHeart(view.name, view.dice, names, layout, packed(b"".join(parts)))


def structures_shown(hearts: Iterable[PackedHeart]) -> list[dict[str, str]]:
    """Name, title and colour of every structure in any of the hearts, in order of appearance."""
    names = dict.fromkeys(name for heart in hearts for name in heart.structures)
    return [{"name": name, "title": structure(name).title, "color": rgb(name)} for name in names]


def _simplified(surfaces: Mapping[str, Surface]) -> dict[str, Surface]:
    """Within :data:`MAX_FACES`, vertices and faces in an order that packs well."""
    # Shares by square root: a coronary tree is small, but bare triangles would tear it.
    weights = {name: math.sqrt(len(surface.faces)) for name, surface in surfaces.items()}
    too_many = sum(len(surface.faces) for surface in surfaces.values()) > MAX_FACES
    per_weight = MAX_FACES / sum(weights.values()) if too_many else math.inf
    made = {}
    for name, surface in surfaces.items():
        share = max(int(weights[name] * per_weight), 4) if too_many else max(len(surface.faces), 4)
        simple = decimate(surface, share)
        made[name] = Surface(*in_order_of_use(simple.vertices_mm, simple.faces))
    return made


def _distance_bytes(surface: Surface, other: Surface | None, turn: int) -> bytes:
    """Signed distance of every vertex to the other side, ``turn`` times; one byte each."""
    if other is None or not len(other.faces):
        return np.full(len(surface.vertices_mm), _NO_COUNTERPART, dtype=np.int8).tobytes()
    signed_mm, *_ = igl.signed_distance(
        surface.vertices_mm.astype(np.float64),
        other.vertices_mm.astype(np.float64),
        other.faces,
        igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL,
    )
    steps = np.clip(np.rint(turn * signed_mm / DISTANCE_STEP_MM), -127, 127)
    return steps.astype(np.int8).tobytes()


def _voxels(
    shown: LabelMap,
    structures: tuple[str, ...],
    low_mm: Float[np.ndarray, "3"],
    high_mm: Float[np.ndarray, "3"],
) -> tuple[np.ndarray, dict[str, Any]]:
    """The input on a grid along the patient's axes: labels, and where they lie."""
    spacing_mm = max(float(shown.spacing_mm.min()), float((high_mm - low_mm).max()) / MAX_VOXELS)
    shape = np.ceil((high_mm - low_mm) / spacing_mm).astype(int)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    labels = shown.at(low_mm + (places.reshape(-1, 3) + 0.5) * spacing_mm)
    where = {"shape": shape.tolist(), "spacing": spacing_mm, "structures": list(structures)}
    return labels.astype(np.uint8).reshape(tuple(shape)), where


def _box(surfaces: Sequence[Surface]) -> tuple[np.ndarray, np.ndarray]:
    """The corners of a box, in whole mm, that holds all surfaces and a margin."""
    there = [surface.vertices_mm for surface in surfaces if len(surface.vertices_mm)]
    points = np.concatenate(there).astype(np.float64) if there else np.zeros((1, 3))
    return np.floor(points.min(axis=0) - MARGIN_MM), np.ceil(points.max(axis=0) + MARGIN_MM)
