"""Vertices of interfaces move to where the field has the interface, without spoiling tetrahedra."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.sampled_field import Field, SampledField
from vecsetx.volume_mesh.shapes import shapes
from vecsetx.volume_mesh.splitting import distinct

__all__ = ["onto_interfaces", "settle"]

_FINE = 0.35
"""A shape that nobody complains of."""

_PROBE = 2
"""How far outside is looked at, in nodes of the field: near edges, those are not exact."""

_NEARER, _FLATTEST = 0.6, 0.3
"""The nearer place, as a share of the farther one; and the least growth of distances on the way out
that is believed, that of a groove of 35°."""

_SHARES = (1.0, 0.5, 0.25)
"""How much of the way to an interface is tried, in turn."""


def onto_interfaces(
    points_mm: Float[np.ndarray, "n 3"],
    around: UInt[np.ndarray, " n"],
    field: SampledField,
    most_mm: float,
    steps: int = 2,
) -> Float[np.ndarray, "n 3"]:
    """Move points to where the distances of all regions around them are equal.

    Newton's method, by the shortest way: along an interface's normal, or to the line or the point
    where several interfaces meet. Points that the field does not know stay.

    Args:
        points_mm: Points.
        around: Regions around each as bits, at least two.
        field: The interfaces.
        most_mm: Longest way of each step.
        steps: Number of steps.
    """
    moved = points_mm.copy()
    # Where two regions end at the outer surface, their distances do not say how far out that is.
    ends = np.flatnonzero((around & np.uint32(1)) & (np.bitwise_count(around) > 2))
    around = around.copy()
    around[ends] &= ~np.uint32(1)
    for _ in range(steps):
        if len(ends):
            way_mm = outward_mm(moved[ends], lambda at: field.at(at)[0], _PROBE * field.spacing_mm)
            moved[ends] += _at_most(way_mm, most_mm)
        moved += _at_most(_step(moved, around, field), most_mm)
    return moved


def _step(
    points_mm: np.ndarray, around: np.ndarray, field: SampledField
) -> Float[np.ndarray, "n 3"]:
    """Return a step of Newton's method."""
    bits = np.arange(32, dtype=np.uint32)
    members = (around[:, None] >> bits & 1).astype(bool)
    # The first three differences fix a point.
    order = np.argsort(~members, axis=1, kind="stable")[:, :4]
    count = np.minimum(members.sum(axis=1), 4)
    rows = np.arange(len(points_mm))[:, None]
    values, slopes, known = field.at(points_mm)
    values = np.concatenate([np.zeros_like(values[:, :1]), values], axis=1)
    slopes = np.concatenate([np.zeros_like(slopes[:, :1]), slopes], axis=1)
    order = np.minimum(order, values.shape[1] - 1)
    differences = values[rows, order[:, 1:]] - values[rows, order[:, :1]]
    normals = slopes[rows, order[:, 1:]] - slopes[rows, order[:, :1]]
    unused = np.arange(1, 4) >= count[:, None]
    differences[unused | ~known[:, None]] = 0
    normals[unused | ~known[:, None]] = 0
    # Least squares with a little damping, as interfaces that meet at a flat angle fix no line.
    gram = normals @ normals.transpose(0, 2, 1) + 1e-3 * np.eye(3)
    return -(normals.transpose(0, 2, 1) @ np.linalg.solve(gram, differences[..., None]))[..., 0]


def _at_most(way_mm: np.ndarray, most_mm: float) -> np.ndarray:
    length = np.linalg.norm(way_mm, axis=1, keepdims=True)
    return way_mm * np.minimum(1, most_mm / np.maximum(length, 1e-9))


def outward_mm(
    points_mm: Float[np.ndarray, "n 3"], field: Field, probe_mm: float
) -> Float[np.ndarray, "n 3"]:
    """Return the way from points to the outer surface of all regions together.

    Where two regions end at the outer surface, the distances to both are 0 all along the interface
    between them, and do not say where it ends. Outside of all regions, the least distance does: it
    is looked at in two places on the way out, and the line through both is 0 at the surface, be it
    flat or a groove. The way is 0 for points that lie deeper than ``probe_mm``.

    Args:
        points_mm: Points.
        field: Signed distances to the regions; NaN where they are unknown.
        probe_mm: How far outside is looked at.
    """
    probes = probe_mm * np.concatenate([np.eye(3), -np.eye(3)])
    outside = _outside(points_mm[:, None] + probes, field)
    out = outside[:, :3] - outside[:, 3:]
    length = np.linalg.norm(out, axis=1, keepdims=True)
    out = np.divide(out, length, out=np.zeros_like(out), where=length > 1e-6 * probe_mm)
    ways_mm = probe_mm * np.array([[1], [_NEARER]])
    far, near = _outside(points_mm[:, None] + ways_mm * out[:, None], field).T
    # Of the nearer place that still lies inside, nothing is known: as if the surface were flat.
    slope = np.where(near > 0, (far - near) / ((1 - _NEARER) * probe_mm), 1).clip(_FLATTEST, 1)
    way_mm = np.where(far > 0, probe_mm - far / slope, 0)
    return np.nan_to_num(way_mm[:, None] * out, nan=0.0)


def _outside(points_mm: Float[np.ndarray, "n p 3"], field: Field) -> Float[np.ndarray, "n p"]:
    """Return how far points are outside of all regions; 0 inside."""
    least = field(points_mm.reshape(-1, 3)).min(axis=1).reshape(points_mm.shape[:2])
    return np.maximum(least, 0).astype(np.float64)


def settle(
    mesh: TetrahedralMesh,
    field: SampledField,
    most_mm: float,
    shape: float = _FINE,
    far_mm: float = 0.0,
) -> None:
    """Move vertices of interfaces onto them, or a part of the way where all would spoil a shape.

    Args:
        mesh: The mesh.
        field: The interfaces.
        most_mm: Longest way.
        shape: A shape that is good enough: a tetrahedron that has a better one may get it.
        far_mm: Vertices that are closer stay where they are.
    """
    interfaces = mesh.on_interfaces()
    way_mm = onto_interfaces(mesh.points_mm[interfaces], mesh.around[interfaces], field, most_mm)
    way_mm -= mesh.points_mm[interfaces]
    far = np.linalg.norm(way_mm, axis=1) > far_mm
    interfaces, way_mm = interfaces[far], way_mm[far]
    for share in _SHARES:
        stay = _moved(mesh, interfaces, share * way_mm, shape)
        interfaces, way_mm = interfaces[stay], way_mm[stay]


def _moved(
    mesh: TetrahedralMesh,
    vertices: Int[np.ndarray, " n"],
    way_mm: Float[np.ndarray, "n 3"],
    shape: float,
) -> Bool[np.ndarray, " n"]:
    """Move vertices, except those that spoil a tetrahedron; return which ones stay."""
    before_mm = mesh.points_mm
    moved = before_mm.copy()
    moved[vertices] += way_mm
    touched = np.zeros(len(moved), dtype=bool)
    touched[vertices] = True
    stays = np.zeros(len(moved), dtype=bool)
    own = mesh.tetrahedra[touched[mesh.tetrahedra].any(axis=1)]
    bound = np.minimum(shapes(before_mm, own), shape) - 1e-9
    changed = np.arange(len(own))
    while (spoilt := shapes(moved, own[changed]) < bound[changed]).any():
        back = distinct(own[changed[spoilt]])
        moved[back], stays[back] = before_mm[back], True
        # Only what has changed since can be spoilt, now by the way back of a corner.
        touched[:] = False
        touched[back] = True
        changed = np.flatnonzero(touched[own].any(axis=1))
    mesh.points_mm = moved
    return stays[vertices]
