"""Vertices of interfaces move to where the field has the interface, without spoiling tetrahedra."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.quality import shapes
from vecsetx.volume_mesh.sampled_field import SampledField

__all__ = ["onto_interfaces", "settle"]

_FINE = 0.35
"""A shape that nobody complains of."""

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
    bits = np.arange(32, dtype=np.uint32)
    members = (around[:, None] >> bits & 1).astype(bool)
    # The first three differences fix a point.
    order = np.argsort(~members, axis=1, kind="stable")[:, :4]
    count = np.minimum(members.sum(axis=1), 4)
    rows = np.arange(len(moved))[:, None]
    for _ in range(steps):
        values, slopes, known = field.at(moved)
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
        step = -(normals.transpose(0, 2, 1) @ np.linalg.solve(gram, differences[..., None]))[..., 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        moved += step * np.minimum(1, most_mm / np.maximum(length, 1e-9))
    return moved


def settle(mesh: TetrahedralMesh, field: SampledField, most_mm: float) -> None:
    """Move vertices of interfaces onto them, or a part of the way where all would spoil a shape."""
    interfaces = mesh.on_interfaces()
    way_mm = onto_interfaces(mesh.points_mm[interfaces], mesh.around[interfaces], field, most_mm)
    way_mm -= mesh.points_mm[interfaces]
    for share in _SHARES:
        stay = _moved(mesh, interfaces, share * way_mm)
        interfaces, way_mm = interfaces[stay], way_mm[stay]


def _moved(
    mesh: TetrahedralMesh, vertices: Int[np.ndarray, " n"], way_mm: Float[np.ndarray, "n 3"]
) -> Bool[np.ndarray, " n"]:
    """Move vertices, except those that spoil a tetrahedron; return which ones stay."""
    before_mm = mesh.points_mm
    moved = before_mm.copy()
    moved[vertices] += way_mm
    touched = np.zeros(len(moved), dtype=bool)
    touched[vertices] = True
    stays = np.zeros(len(moved), dtype=bool)
    own = mesh.tetrahedra[touched[mesh.tetrahedra].any(axis=1)]
    bound = np.minimum(shapes(before_mm[own]), _FINE) - 1e-9
    while (spoilt := shapes(moved[own]) < bound).any():
        back = np.unique(own[spoilt])
        moved[back], stays[back] = before_mm[back], True
        # Only what has changed since can be spoilt.
        touched[:] = False
        touched[back] = True
        changed = touched[own].any(axis=1)
        own, bound = own[changed], bound[changed]
    mesh.points_mm = moved
    return stays[vertices]
