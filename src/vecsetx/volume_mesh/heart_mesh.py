"""A heart as a mesh, with edges that are short enough for each of its structures."""

import logging
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from vecsetx.errors import InputError
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import LONGEST, finish, rough_mesh
from vecsetx.volume_mesh.parts import Parts
from vecsetx.volume_mesh.pieces import piece_volumes_ml

__all__ = ["mesh_heart", "reach_mm"]

_log = logging.getLogger(__name__)

_REACH_EDGES = 12
"""Distances are computed up to this many longest edges; tetrahedra beyond are the largest."""

_HALVINGS = 2
"""How often the edges of a structure are halved that is too thin for them."""

_LOST, _CRUMB = 0.05, 0.01
"""Share of a structure's volume that a mesh may miss before its edges are halved, and that a piece
has to have to count."""


def mesh_heart(
    parts: Parts, edges_mm: Mapping[str, float], strict: bool = False, seed: int = 0
) -> tuple[TetrahedralMesh, dict[str, float]]:
    """Mesh a heart; structures that are too thin for their edges get shorter ones.

    A structure is too thin if its mesh misses more than 5% of its volume, or falls into more pieces
    than the structure has.

    Args:
        parts: What is meshed.
        edges_mm: Region → mean length of edges at its interfaces.
        strict: Whether a structure that is too thin is an error.
        seed: As for :func:`~vecsetx.volume_mesh.meshing.finish`.

    Returns:
        The mesh, and the edges that were halved: structure → their length, mm.

    Raises:
        InputError: A structure is too thin, and ``strict``, or halving its edges does not help; or
            valves take all of it.
    """
    names = parts.names
    wanted = np.array([edges_mm[name] for name in names])
    edges = wanted.copy()
    for halving in range(_HALVINGS + 1):
        regions = parts.regions(reach_mm(edges))
        mesh = rough_mesh(regions, edges)
        thin = _too_thin(parts, mesh)
        if not thin:
            break
        told = ", ".join(f"{names[k]} ({edges[k]:g} mm)" for k in thin)
        if strict or halving == _HALVINGS:
            lengths = {**edges_mm, **{names[k]: edges[k] / 2 for k in thin}}
            remedy = ", or leave out --strict" if strict else f", or leave {names[thin[0]]} out"
            raise InputError(
                f"too thin for edges of this length: {told}; give shorter ones, such as --edge-mm "
                f"{_as_option(lengths)}{remedy}"
            )
        _log.info("too thin for edges of this length, which are halved: %s", told)
        edges[thin] /= 2
    if empty := [name for k, name in enumerate(names, 1) if not (mesh.region == k).any()]:
        raise InputError(
            f"nothing is left of {', '.join(empty)} beside walls and valves; give thinner "
            "ones, or leave it out of --structures"
        )
    finish(mesh, regions, edges, seed)
    halved = np.flatnonzero(edges < wanted)
    return mesh, {names[k]: float(edges[k]) for k in halved.tolist()}


def _as_option(edges_mm: Mapping[str, float]) -> str:
    """Return edges as the command line has them: the most common length first, then others."""
    lengths = list(edges_mm.values())
    usual = max(lengths, key=lengths.count)
    others = [f"{name}={edge:g}" for name, edge in edges_mm.items() if edge != usual]
    return ",".join([f"{usual:g}", *others])


def reach_mm(edges_mm: Float[np.ndarray, " n"]) -> float:
    """Return how far distances are computed for a mesh with these edges."""
    return _REACH_EDGES * LONGEST * float(edges_mm.max())


def _too_thin(parts: Parts, mesh: TetrahedralMesh) -> list[int]:
    """Return the structures that the mesh shows too small, or broken."""
    thin = []
    volumes_ml = parts.of_input(parts.geometry.volumes_ml())
    taken_ml = parts.taken_by_discs_ml(mesh)
    counts = parts.of_input(parts.geometry.pieces().astype(np.float64))
    for k, (ml, count) in enumerate(zip(volumes_ml, counts, strict=True)):
        pieces = piece_volumes_ml(mesh, k + 1)
        # A ridge may leave crumbs, which break nothing. Walls and valves (NaN) are as thin as they
        # are.
        if pieces.sum() + taken_ml[k] < (1 - _LOST) * ml or (pieces > _CRUMB * ml).sum() > count:
            thin.append(k)
    return thin
