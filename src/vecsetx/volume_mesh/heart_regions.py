"""The structures of a heart as regions to mesh, and edges that are short enough for each."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from vecsetx.errors import InputError
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import LONGEST, Regions, finish, rough_mesh
from vecsetx.volume_mesh.pieces import piece_volumes_ml
from vecsetx.volume_mesh.sampled_field import Field

__all__ = ["field_of", "heart_regions", "mesh_heart"]

_log = logging.getLogger(__name__)

_REACH_EDGES = 12
"""Distances are computed up to this many longest edges; tetrahedra beyond are the largest."""

_HALVINGS = 2
"""How often the edges of a structure are halved that is too thin for them."""

_LOST, _CRUMB = 0.05, 0.01
"""Share of a structure's volume that a mesh may miss before its edges are halved, and that a piece
has to have to count."""


def field_of(geometry: Geometry, reach_mm: float = np.inf) -> Field:
    """Return the signed distances to a heart's structures, at most ``reach_mm``."""

    def field(points_mm: np.ndarray) -> np.ndarray:
        return signed_distances_mm(points_mm, geometry.closed, geometry.label_map, reach_mm)

    return field


def heart_regions(
    geometry: Geometry, names: Sequence[str], edges_mm: Float[np.ndarray, " k"]
) -> Regions:
    """Return a heart's structures as regions.

    Args:
        geometry: K structures, each of which is present.
        names: Their names.
        edges_mm: Mean length of edges at the walls of each.
    """
    vertices = geometry.vertices_mm()
    field = field_of(geometry, _REACH_EDGES * LONGEST * float(edges_mm.max()))
    return Regions(tuple(names), field, vertices.min(axis=0), vertices.max(axis=0))


def mesh_heart(
    geometry: Geometry,
    names: Sequence[str],
    edges_mm: Mapping[str, float],
    strict: bool = False,
    seed: int = 0,
) -> tuple[TetrahedralMesh, dict[str, float]]:
    """Mesh a heart; structures that are too thin for their edges get shorter ones.

    A structure is too thin if its mesh misses more than 5% of its volume, or falls into more pieces
    than the structure has.

    Args:
        geometry: K structures, each of which is present.
        names: Their names.
        edges_mm: Structure → mean length of edges at its walls.
        strict: Whether a structure that is too thin is an error.
        seed: As for :func:`~vecsetx.volume_mesh.meshing.finish`.

    Returns:
        The mesh, and the edges that were halved: structure → their length, mm.

    Raises:
        InputError: A structure is too thin, and ``strict``, or halving its edges does not help.
    """
    wanted = np.array([edges_mm[name] for name in names])
    edges = wanted.copy()
    for halving in range(_HALVINGS + 1):
        regions = heart_regions(geometry, names, edges)
        mesh = rough_mesh(regions, edges)
        thin = _too_thin(geometry, mesh)
        if not thin:
            break
        told = ", ".join(f"{names[k]} ({edges[k]:g} mm)" for k in thin)
        if strict or halving == _HALVINGS:
            raise InputError(
                f"too thin for edges of this length: {told}; give shorter ones, such as --edge-mm "
                f"{names[thin[0]]}={edges[thin[0]] / 2:g}"
                + (", or leave out --strict" if strict else "")
            )
        _log.info("too thin for edges of this length, which are halved: %s", told)
        edges[thin] /= 2
    finish(mesh, regions, edges, seed)
    halved = np.flatnonzero(edges < wanted)
    return mesh, {names[k]: float(edges[k]) for k in halved.tolist()}


def _too_thin(geometry: Geometry, mesh: TetrahedralMesh) -> list[int]:
    """Return the structures that the mesh shows too small, or broken."""
    thin = []
    for k, (ml, count) in enumerate(zip(geometry.volumes_ml(), geometry.pieces(), strict=True)):
        pieces = np.sort(piece_volumes_ml(mesh, k + 1))[::-1]
        # A ridge may leave crumbs, which break nothing.
        if pieces.sum() < (1 - _LOST) * ml or (pieces > _CRUMB * ml).sum() > count:
            thin.append(k)
    return thin
