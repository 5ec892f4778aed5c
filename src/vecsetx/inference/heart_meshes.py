"""A heart's meshes, and what is known of every vertex of them."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from vecsetx.errors import InputError
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.decimation import (
    DecimationError,
    decimate_interfaces,
    decimation_error,
)
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_exclusive, extent_mm
from vecsetx.reconstruction.surface_net import shared_interfaces
from vecsetx.reconstruction.surfaces import (
    Surface,
    closed_surfaces,
    decimate,
    field_surfaces,
    structure_surfaces,
)
from vecsetx.sampling.interfaces import SharedSurface

RESOLUTION = 192
"""Default voxels along the longest side of the grid that meshes are made on."""

MAX_VOXELS = 2**30
"""Voxels of the largest grid: 1024³, of which the labels alone take a gigabyte."""


SurfaceKind = Literal["shared", "closed"]
"""``shared``: one mesh of the walls between all structures, without overlap or gap, of which each
structure's surface is its part. ``closed``: each structure from its own distance alone, watertight;
a thin vessel stays whole where it runs through a neighbour, and there the two overlap."""


def heart_surfaces(field: HeartField, resolution: int) -> dict[str, Surface]:
    """Meshes of a field on a grid with ``resolution`` voxels along its longest side."""
    return field_surfaces(field, mesh_grid(field, resolution))


def mesh_grid(
    field: HeartField,
    resolution: int,
    resolution_mm: float | None = None,
    completed: CompletedField | None = None,
) -> Grid:
    """The grid around a heart that its meshes are made on.

    Args:
        field: The heart.
        resolution: Voxels along the longest side.
        resolution_mm: Edge of a voxel instead, mm.
        completed: The heart with all that is observed of it, if that is to fit in, too.

    Raises:
        InputError: There is no heart, or its grid would have too many voxels.
    """
    corners_mm = np.stack(extent_mm(field, *field.domain.domain_mm()))
    if completed is not None:
        corners_mm = np.concatenate([corners_mm, completed.corners_mm()])
    low_mm, high_mm = corners_mm.min(axis=0), corners_mm.max(axis=0)
    if resolution_mm is None:
        grid = Grid.fitted(low_mm, high_mm, resolution)
    else:
        grid = Grid.around(low_mm, high_mm, resolution_mm)
    if grid.voxels > MAX_VOXELS:
        raise InputError(
            f"a grid of {grid.spacing_mm[0]:.3g} mm around this heart has {grid.voxels:.2g} "
            f"voxels; at most {MAX_VOXELS:.2g} can be held, so choose a coarser resolution"
        )
    return grid


@dataclass(frozen=True, slots=True)
class HeartMeshes:
    """What a heart's meshes are.

    Attributes:
        surfaces: Structure name → surface.
        interfaces: The mesh that they are parts of, if they share one.
        decimation: Structure name → how far it moved, if it was decimated.
    """

    surfaces: dict[str, Surface]
    interfaces: SharedSurface | None
    decimation: dict[str, DecimationError]


def heart_meshes(
    field: DistanceField, grid: Grid, kind: SurfaceKind = "shared", faces: int | None = None
) -> HeartMeshes:
    """Mesh a heart.

    Args:
        field: The heart.
        grid: Where; its spacing decides how fine the meshes are.
        kind: Whether structures share their walls.
        faces: Faces to decimate the whole heart's meshes to; None to leave them as they are.
    """
    interfaces = None
    if kind == "shared":
        interfaces = shared_interfaces(evaluate_exclusive(field, grid))
        full = structure_surfaces(interfaces, field.structures)
    else:
        full = closed_surfaces(field, grid)
    total = sum(len(surface.faces) for surface in full.values())
    total = len(interfaces.faces) if interfaces else total
    if faces is None or total <= faces:
        return HeartMeshes(full, interfaces, {})
    if interfaces:
        interfaces = decimate_interfaces(interfaces, faces)
        coarse = structure_surfaces(interfaces, field.structures)
    else:
        coarse = {
            name: decimate(surface, max(len(surface.faces) * faces // total, 4))
            for name, surface in full.items()
        }
    errors = {name: decimation_error(full[name], coarse[name]) for name in coarse}
    return HeartMeshes(coarse, interfaces, errors)


@dataclass(frozen=True, slots=True)
class VertexAttributes:
    """What is known of the vertices of a heart's meshes.

    Attributes:
        observed: Structure name → whether each vertex of its surface is observed.
        sd_mm: Structure name → standard deviation of its surface's place at each vertex; empty if
            nothing was drawn.
        beyond_reach: Structure name → whether that is too small, as
            :class:`~vecsetx.inference.ensemble.Spread` has it.
        interfaces_observed: Whether each vertex of the mesh that structures share is observed as
            part of all that meet there.
        interfaces_sd_mm: Its largest standard deviation, as part of any of them.
    """

    observed: dict[str, Bool[np.ndarray, " _"]]
    sd_mm: dict[str, Float32[np.ndarray, " _"]] = field(default_factory=dict)
    beyond_reach: dict[str, Bool[np.ndarray, " _"]] = field(default_factory=dict)
    interfaces_observed: Bool[np.ndarray, " v"] | None = None
    interfaces_sd_mm: Float32[np.ndarray, " v"] | None = None


def vertex_attributes(
    meshes: HeartMeshes,
    structures: tuple[str, ...],
    visibility: Visibility,
    ensemble: Ensemble | None = None,
    kept: bool = False,
) -> VertexAttributes:
    """What is known of every vertex.

    Args:
        meshes: The heart's meshes.
        structures: Names of the K structures.
        visibility: What of the heart is observed.
        ensemble: TrainingBatches of the heart; None for no standard deviations.
        kept: Whether what is observed was kept as it is: measured, and not drawn, so that its
            standard deviation is 0.
    """
    known = VertexAttributes(
        {
            name: visibility.observed_vertices(surface.vertices_mm, structures.index(name))
            for name, surface in meshes.surfaces.items()
        }
    )
    shared = meshes.interfaces
    if shared is not None:
        known = replace(known, interfaces_observed=visibility.observed_interface_vertices(shared))
    if ensemble is None:
        return known
    if shared is None:
        return _of_closed(known, meshes.surfaces, structures, ensemble, kept)
    return _of_shared(known, shared, structures, ensemble, kept)


def _of_closed(
    known: VertexAttributes,
    surfaces: dict[str, Surface],
    structures: tuple[str, ...],
    ensemble: Ensemble,
    kept: bool,
) -> VertexAttributes:
    own = replace(ensemble, exclusive=False)
    sd_mm: dict[str, np.ndarray] = {}
    beyond: dict[str, np.ndarray] = {}
    for name, surface in surfaces.items():
        asked = ~known.observed[name] if kept else np.ones(len(surface.vertices_mm), dtype=bool)
        spread = own.spread(surface.vertices_mm[asked])
        sd_mm[name] = np.zeros(len(asked), dtype=np.float32)
        beyond[name] = np.zeros(len(asked), dtype=bool)
        sd_mm[name][asked] = spread.sd_mm[:, structures.index(name)]
        beyond[name][asked] = spread.beyond_reach[:, structures.index(name)]
    return replace(known, sd_mm=sd_mm, beyond_reach=beyond)


def _of_shared(
    known: VertexAttributes,
    interfaces: SharedSurface,
    structures: tuple[str, ...],
    ensemble: Ensemble,
    kept: bool,
) -> VertexAttributes:
    """Every vertex of the shared mesh is asked once, for all that meet there."""
    shape = len(interfaces.vertices_mm), len(structures)
    meets = np.zeros((shape[0], shape[1] + 1), dtype=bool)
    meets[interfaces.faces[:, :, None], interfaces.sides[:, None, :]] = True
    meets = meets[:, 1:]  # the first is the background
    asked = np.ones(shape[0], dtype=bool)
    if kept and known.interfaces_observed is not None:
        asked = ~known.interfaces_observed
    spread = ensemble.spread(interfaces.vertices_mm[asked])
    all_sd_mm, all_beyond = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    all_sd_mm[asked], all_beyond[asked] = spread.sd_mm, spread.beyond_reach
    if kept:
        for name, observed in known.observed.items():
            k = structures.index(name)
            rows = np.flatnonzero(meets[:, k])[observed]
            all_sd_mm[rows, k], all_beyond[rows, k] = 0, False
    # A structure's surface has the shared mesh's vertices in their order.
    return replace(
        known,
        sd_mm={
            name: all_sd_mm[meets[:, k], k]
            for k, name in enumerate(structures)
            if name in known.observed
        },
        beyond_reach={
            name: all_beyond[meets[:, k], k]
            for k, name in enumerate(structures)
            if name in known.observed
        },
        interfaces_sd_mm=np.where(meets, all_sd_mm, 0).max(axis=1),
    )
