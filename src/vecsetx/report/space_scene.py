"""Hearts of a shape space for a page: one mesh per structure, and where its vertices lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from vecsetx.inference.heart import MeshOptions
from vecsetx.population.carried_surfaces import carried_surfaces
from vecsetx.population.heart_space import HeartSpace, SpaceHeart
from vecsetx.progress import Progress
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.report.packing import (
    STEP_MM,
    face_bytes,
    gzip_base64,
    in_order_of_use,
    vertex_bytes,
)

__all__ = ["PackedSpace", "ShownShape", "SpacePageSize", "pack_space", "page_shapes"]

_RESOLUTION = 128
"""Voxels along the mean heart for meshing it."""

_SDS = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
"""Where along a mode the page has a heart; between them, its vertices go straight."""

NEW, FITTED = "New hearts", "Fitted hearts, the most unusual first"


@dataclass(frozen=True, slots=True)
class SpacePageSize:
    """How much the page of a space holds.

    Attributes:
        faces: Triangles of a heart.
        modes: Modes that can be played.
        drawn: New hearts whose volumes are compared with the cohort's.
        shown: Those of them that can be looked at.
        fitted: Hearts of the cohort that can be looked at.
        seed: Seed of the new hearts.
    """

    faces: int = 12_000
    modes: int = 5
    drawn: int = 40
    shown: int = 12
    fitted: int = 12
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ShownShape:
    """What the mean heart can turn into.

    Attributes:
        group: Heading in the list.
        name: Its name.
        coordinates: Of its hearts.
        places: Where these lie on the slider, on which the mean heart lies at 0.
        viewed: Whether the page's viewer has it.
    """

    group: str
    name: str
    coordinates: tuple[Float[np.ndarray, " k"], ...]
    places: tuple[float, ...] = (1.0,)
    viewed: bool = True


@dataclass(frozen=True, slots=True)
class PackedSpace:
    """Hearts of a space as stored in a page.

    Attributes:
        layout: Layout of ``blob`` as plain data; ``space.js`` reads it.
        blob: Vertices and faces: gzip in base64.
        structures: Names of the structures.
        drawn_ml: Structure → volumes of the new hearts.
    """

    layout: Mapping[str, Any]
    blob: str
    structures: tuple[str, ...]
    drawn_ml: Mapping[str, Sequence[float]]


def page_shapes(space: HeartSpace, unusual: Sequence[str], size: SpacePageSize) -> list[ShownShape]:
    """Choose the hearts of a page: along modes, new ones and those of the cohort.

    Args:
        space: The space.
        unusual: Hearts of the cohort, the most unusual first.
        size: How many.
    """
    count, cohort = len(space.saved.space.sd), space.saved.cohort
    steps = np.array(_SDS)
    found = [
        ShownShape("Modes", f"mode {mode + 1}", tuple(steps[:, None] * np.eye(count)[mode]), _SDS)
        for mode in range(min(size.modes, count))
    ]
    generator = np.random.default_rng(size.seed)
    for number in range(1, size.drawn + 1):
        row = space.draw(generator, {})
        found.append(ShownShape(NEW, f"new heart {number}", (row,), viewed=number <= size.shown))
    for name in unusual[: size.fitted]:
        found.append(ShownShape(FITTED, name, (cohort.coordinates[cohort.names.index(name)],)))
    return found


def pack_space(
    space: HeartSpace, shapes: Sequence[ShownShape], faces: int, progress: Progress
) -> PackedSpace:
    """Mesh the mean heart, and find where its vertices lie in other hearts.

    Args:
        space: The space.
        shapes: The other hearts.
        faces: Triangles of a heart.
        progress: Counts the shapes.

    Raises:
        InputError: The mean heart is empty.
    """
    mean = space.mean()
    meshes = mean.meshes(MeshOptions(_RESOLUTION, kind="closed", faces=faces)).surfaces
    surfaces = {n: Surface(*in_order_of_use(m.vertices_mm, m.faces)) for n, m in meshes.items()}

    def carried(heart: SpaceHeart) -> dict[str, np.ndarray]:
        rows = space.saved.cohort.structure
        return carried_surfaces(surfaces, mean.anchors_mm, heart.anchors_mm, rows, heart)

    viewed: list[tuple[ShownShape, list[dict[str, np.ndarray]]]] = []
    drawn_ml: dict[str, list[float]] = {name: [] for name in surfaces}
    for shape in shapes:
        hearts = [carried(space.at(row)) for row in shape.coordinates]
        if shape.group == NEW:
            for name, surface in surfaces.items():
                ml = Surface(hearts[0][name], surface.faces).volume_mm3 / 1000
                drawn_ml[name].append(ml)
        if shape.viewed:
            viewed.append((shape, hearts))
        progress.advance(shape.name)
    return PackedSpace(*_packed(surfaces, viewed), tuple(surfaces), drawn_ml)


def _packed(
    surfaces: Mapping[str, Surface],
    viewed: Sequence[tuple[ShownShape, Sequence[Mapping[str, np.ndarray]]]],
) -> tuple[dict[str, Any], str]:
    every = [heart for _, hearts in viewed for heart in hearts]
    every.append({name: surface.vertices_mm for name, surface in surfaces.items()})
    corners = np.stack([(v.min(axis=0), v.max(axis=0)) for h in every for v in h.values()])
    low_mm, high_mm = np.floor(corners[:, 0].min(axis=0)), np.ceil(corners[:, 1].max(axis=0))
    parts: list[bytes] = []
    for surface in surfaces.values():
        parts += [vertex_bytes(surface.vertices_mm, low_mm), face_bytes(surface.faces)]
    for heart in every[:-1]:
        parts += [vertex_bytes(heart[name], low_mm) for name in surfaces]
    layout = {
        "low": low_mm.tolist(),
        "high": high_mm.tolist(),
        "step": STEP_MM,
        "meshes": [
            {"name": name, "vertices": len(surface.vertices_mm), "faces": len(surface.faces)}
            for name, surface in surfaces.items()
        ],
        "shapes": [
            {"group": shape.group, "name": shape.name, "places": list(shape.places)}
            for shape, _ in viewed
        ],
    }
    return layout, gzip_base64(b"".join(parts))
