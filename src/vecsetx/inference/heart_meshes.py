"""Mesh a heart's field, and compute visibility and uncertainty of every vertex."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from vecsetx.errors import InputError
from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.ensemble import Ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.progress import stage, staged
from vecsetx.reconstruction.decimation import (
    DecimationError,
    decimate_interfaces,
    decimation_error,
)
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_exclusive, evaluate_overlapping, extent_mm
from vecsetx.reconstruction.specks import Specks, Supports, find_specks, without_specks
from vecsetx.reconstruction.surface_net import shared_interfaces
from vecsetx.reconstruction.surfaces import (
    Surface,
    decimate,
    overlapping_surfaces,
    structure_surfaces,
)

RESOLUTION = 192
"""Default number of voxels along the longest side of the grid used for meshing."""

MAX_VOXELS = 2**30
"""Maximum number of voxels of a grid, 1024³: the labels alone then take a gigabyte."""


SurfaceKind = Literal["shared", "closed"]
"""``shared``: one mesh of the walls between all structures, without overlaps or gaps; each
structure's surface is a part of it. ``closed``: a watertight mesh of each structure from its own
distance alone; a thin vessel that runs through a neighbour stays whole and overlaps it."""


def mesh_grid(
    field: HeartField,
    resolution: int,
    resolution_mm: float | None = None,
    completed: CompletedField | None = None,
) -> Grid:
    """Return the grid around a heart for meshing it.

    Args:
        field: The heart.
        resolution: Voxels along the grid's longest side.
        resolution_mm: Edge length of a voxel, mm; overrides ``resolution``.
        completed: The completed heart, if the grid must also contain everything observed.

    Raises:
        InputError: The field contains no heart, or the grid would have too many voxels.
    """
    with stage("extent"):
        corners_mm = np.stack(extent_mm(field, *field.domain.domain_mm()))
    if completed is not None:
        corners_mm = np.concatenate([corners_mm, completed.corners_mm()])
    low_mm, high_mm = corners_mm.min(axis=0), corners_mm.max(axis=0)
    if resolution_mm is None:
        grid = Grid.fitted(low_mm, high_mm, resolution)
    else:
        grid = Grid.around(low_mm, high_mm, resolution_mm)
    return checked_size(grid, "choose a coarser resolution")


def checked_size(grid: Grid, remedy: str) -> Grid:
    """Return the grid, unless it has too many voxels.

    Args:
        grid: A grid around a heart.
        remedy: What to do then, for the message.

    Raises:
        InputError: The grid has more than :data:`MAX_VOXELS` voxels.
    """
    if grid.voxels > MAX_VOXELS:
        raise InputError(
            f"a grid of {grid.spacing_mm.min():.3g} mm around this heart has {grid.voxels:.2g} "
            f"voxels, more than the maximum of {MAX_VOXELS:.2g}; {remedy}"
        )
    return grid


@dataclass(frozen=True, slots=True)
class HeartMeshes:
    """The meshes of a heart.

    Attributes:
        surfaces: Structure name → surface.
        interfaces: The mesh that all surfaces are parts of; None for closed surfaces.
        decimation: Structure name → decimation error; empty if nothing was decimated.
        specks: The specks that the meshes lack, and how many pieces are left.
    """

    surfaces: dict[str, Surface]
    interfaces: SharedSurface | None
    decimation: dict[str, DecimationError]
    specks: Specks

    def of_structures(self, wanted: Sequence[str], structures: Sequence[str]) -> "HeartMeshes":
        """Return the meshes of some structures alone, each as it is among the others.

        Args:
            wanted: Names of these.
            structures: Names of all K structures.
        """
        labels = [structures.index(name) + 1 for name in wanted]
        return replace(
            self,
            surfaces={name: mesh for name, mesh in self.surfaces.items() if name in wanted},
            interfaces=self.interfaces and self.interfaces.of_labels(labels),
            decimation={name: of for name, of in self.decimation.items() if name in wanted},
        )


@staged("meshing")
def heart_meshes(
    field: DistanceField,
    grid: Grid,
    kind: SurfaceKind = "shared",
    faces: int | None = None,
    supports: Supports | None = None,
) -> HeartMeshes:
    """Mesh a heart.

    Args:
        field: The heart.
        grid: The grid; its spacing determines the meshes' resolution.
        kind: Whether structures share their walls.
        faces: Number of faces to decimate to, over all structures; None for no decimation.
        supports: What is observed, so that specks are left out
            (:func:`~vecsetx.reconstruction.specks.find_specks`); None keeps them.
    """
    interfaces = None
    if kind == "shared":
        octree = evaluate_exclusive(field, grid)
        specks = find_specks(octree, supports)
        interfaces = shared_interfaces(without_specks(octree, field, specks))
        full = structure_surfaces(interfaces, field.structures)
    else:
        overlapping = evaluate_overlapping(field, grid)
        specks = find_specks(overlapping, supports)
        full = overlapping_surfaces(without_specks(overlapping, field, specks))
    # Walls count once if they are shared.
    total = sum(len(surface.faces) for surface in full.values())
    total = len(interfaces.faces) if interfaces else total
    if faces is None or total <= faces:
        return HeartMeshes(full, interfaces, {}, specks)
    if interfaces:
        interfaces = decimate_interfaces(interfaces, faces)
        coarse = structure_surfaces(interfaces, field.structures)
    else:
        coarse = {
            name: decimate(surface, max(len(surface.faces) * faces // total, 4))
            for name, surface in full.items()
        }
    errors = {name: decimation_error(full[name], coarse[name]) for name in coarse}
    return HeartMeshes(coarse, interfaces, errors, specks)


@dataclass(frozen=True, slots=True)
class VertexAttributes:
    """Visibility and uncertainty at the vertices of a heart's meshes.

    Attributes:
        observed: Structure name → whether each vertex of its surface is observed.
        sd_mm: Structure name → standard deviation of its surface at each vertex; empty without an
            ensemble.
        beyond_reach: Structure name → whether that standard deviation is too small, as in
            :class:`~vecsetx.inference.ensemble.Spread`.
        interfaces_observed: Whether each vertex of the shared mesh is observed on all structures
            that meet there; None for closed surfaces.
        interfaces_sd_mm: Largest standard deviation at each vertex of the shared mesh, over the
            structures that meet there; None for closed surfaces or without an ensemble.
        hidden: Structures of which nothing is observed, whether or not they have a surface.
    """

    observed: dict[str, Bool[np.ndarray, " _"]]
    sd_mm: dict[str, Float32[np.ndarray, " _"]] = field(default_factory=dict)
    beyond_reach: dict[str, Bool[np.ndarray, " _"]] = field(default_factory=dict)
    interfaces_observed: Bool[np.ndarray, " v"] | None = None
    interfaces_sd_mm: Float32[np.ndarray, " v"] | None = None
    hidden: frozenset[str] = frozenset()


@staged("vertices")
def vertex_attributes(
    meshes: HeartMeshes,
    structures: tuple[str, ...],
    visibility: Visibility,
    ensemble: Ensemble | None = None,
    kept: bool = False,
) -> VertexAttributes:
    """Compute visibility and uncertainty at every vertex.

    Args:
        meshes: The heart's meshes.
        structures: Names of the K structures.
        visibility: Which parts of the heart are observed.
        ensemble: The heart's ensemble; None for no standard deviations.
        kept: Whether the meshes keep the observed surfaces (:class:`CompletedField`); the standard
            deviation of observed vertices is then 0.
    """
    attributes = VertexAttributes(
        {
            name: visibility.observed_vertices(surface.vertices_mm, structures.index(name))
            for name, surface in meshes.surfaces.items()
        },
        hidden=frozenset(np.array(structures)[~visibility.present].tolist()),
    )
    shared = meshes.interfaces
    if shared is not None:
        attributes = replace(
            attributes, interfaces_observed=visibility.observed_interface_vertices(shared)
        )
    if ensemble is None:
        return attributes
    if shared is None:
        return _with_closed_spread(attributes, meshes.surfaces, structures, ensemble, kept)
    return _with_shared_spread(attributes, shared, structures, ensemble, kept)


def _with_closed_spread(
    attributes: VertexAttributes,
    surfaces: dict[str, Surface],
    structures: tuple[str, ...],
    ensemble: Ensemble,
    kept: bool,
) -> VertexAttributes:
    """Add standard deviations at the vertices of closed surfaces."""
    # Closed surfaces follow each structure's own distance; so must the members' distances.
    overlapping = replace(ensemble, exclusive=False)
    sd_mm: dict[str, np.ndarray] = {}
    beyond: dict[str, np.ndarray] = {}
    for name, surface in surfaces.items():
        uncertain = np.ones(len(surface.vertices_mm), dtype=bool)
        if kept:
            uncertain = ~attributes.observed[name]
        spread = overlapping.spread(surface.vertices_mm[uncertain])
        sd_mm[name] = np.zeros(len(uncertain), dtype=np.float32)
        beyond[name] = np.zeros(len(uncertain), dtype=bool)
        sd_mm[name][uncertain] = spread.sd_mm[:, structures.index(name)]
        beyond[name][uncertain] = spread.beyond_reach[:, structures.index(name)]
    return replace(attributes, sd_mm=sd_mm, beyond_reach=beyond)


def _with_shared_spread(
    attributes: VertexAttributes,
    interfaces: SharedSurface,
    structures: tuple[str, ...],
    ensemble: Ensemble,
    kept: bool,
) -> VertexAttributes:
    """Add standard deviations at the vertices of the shared mesh.

    The ensemble is evaluated once per vertex, for all structures that meet there.
    """
    # 1. Which structures meet at each vertex, [V, K].
    shape = len(interfaces.vertices_mm), len(structures)
    meets = np.zeros((shape[0], shape[1] + 1), dtype=bool)
    meets[interfaces.faces[:, :, None], interfaces.sides[:, None, :]] = True
    meets = meets[:, 1:]  # the first is the background
    # 2. Standard deviations for all structures, [V, K]; 0 where observed surfaces are kept.
    uncertain = np.ones(shape[0], dtype=bool)
    if kept and attributes.interfaces_observed is not None:
        uncertain = ~attributes.interfaces_observed
    spread = ensemble.spread(interfaces.vertices_mm[uncertain])
    all_sd_mm, all_beyond = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    all_sd_mm[uncertain], all_beyond[uncertain] = spread.sd_mm, spread.beyond_reach
    if kept:  # a vertex may be observed on one structure and inferred on another
        for name, observed in attributes.observed.items():
            k = structures.index(name)
            rows = np.flatnonzero(meets[:, k])[observed]
            all_sd_mm[rows, k], all_beyond[rows, k] = 0, False
    # 3. Each structure's share: its surface has the shared mesh's vertices, in the same order.
    return replace(
        attributes,
        sd_mm={
            name: all_sd_mm[meets[:, k], k]
            for k, name in enumerate(structures)
            if name in attributes.observed
        },
        beyond_reach={
            name: all_beyond[meets[:, k], k]
            for k, name in enumerate(structures)
            if name in attributes.observed
        },
        interfaces_sd_mm=np.where(meets, all_sd_mm, 0).max(axis=1),
    )
