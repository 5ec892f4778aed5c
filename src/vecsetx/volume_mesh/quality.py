"""How well shaped tetrahedra are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = [
    "Shapes",
    "dihedral_angles_deg",
    "in_parts",
    "radius_ratios",
    "scaled_jacobians",
    "volumes_mm3",
]

_PAIRS = np.array([[2, 3], [1, 3], [1, 2], [0, 3], [0, 2], [0, 1]])
"""The facets (by the corner opposite) that meet in each edge of ``splitting.EDGES``."""


_CHUNK = 1 << 18


class Shapes(NamedTuple):
    """How well shaped each of T tetrahedra is.

    Attributes:
        least_deg: Its smallest dihedral angle.
        largest_deg: Its largest one.
        jacobian: Its scaled Jacobian.
        radius_ratio: Its radius ratio.
    """

    least_deg: Float[np.ndarray, " t"]
    largest_deg: Float[np.ndarray, " t"]
    jacobian: Float[np.ndarray, " t"]
    radius_ratio: Float[np.ndarray, " t"]


def volumes_mm3(
    points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
) -> Float[np.ndarray, " t"]:
    """Return volumes, negative of what is turned inside out."""
    corners = points_mm[tetrahedra]
    a, b, c = np.moveaxis(corners[:, 1:] - corners[:, :1], 1, 0)
    return np.einsum("ij,ij->i", np.cross(a, b), c) / 6


def dihedral_angles_deg(
    points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
) -> Float[np.ndarray, "t 6"]:
    """Return the angles between facets, one at each edge (``splitting.EDGES``), 0 to 180°."""
    normals = _outward(points_mm[tetrahedra])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True).clip(1e-300)
    cosines = -np.einsum("tei,tei->te", normals[:, _PAIRS[:, 0]], normals[:, _PAIRS[:, 1]])
    return np.degrees(np.arccos(cosines.clip(-1, 1)))


def scaled_jacobians(
    points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
) -> Float[np.ndarray, " t"]:
    """Return the scaled Jacobian: 1 for a regular tetrahedron, 0 for a flat one.

    The determinant of the edges over √2 times the largest product of three edges that meet in a
    corner (Knupp, "Algebraic mesh quality metrics for unstructured initial meshes", Finite Elem
    Anal Des 2003, in the form of the Verdict library).
    """
    corners = points_mm[tetrahedra]
    length = np.linalg.norm(corners[:, :, None] - corners[:, None], axis=3)
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    products = length[:, np.arange(4)[:, None], others].prod(axis=2)
    jacobian = 6 * volumes_mm3(points_mm, tetrahedra)
    return np.sqrt(2) * jacobian / products.max(axis=1).clip(1e-300)


def radius_ratios(
    points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
) -> Float[np.ndarray, " t"]:
    """Return three times the inradius over the circumradius: 1 for a regular tetrahedron.

    It is 0 for a flat one, and negative for one that is inside out.
    """
    corners = points_mm[tetrahedra]
    a, b, c = np.moveaxis(corners[:, 1:] - corners[:, :1], 1, 0)
    bc, ca, ab = _cross(b, c), _cross(c, a), _cross(a, b)
    # With the six-fold volume v, twice the areas s, and the centre of the circumsphere at x / 2v
    # from the first corner, the radii are v / s and |x| / 2v.
    volume = _dot(a, bc)
    areas = _length(bc + ca + ab) + _length(bc) + _length(ca) + _length(ab)
    center = _dot(a, a)[:, None] * bc + _dot(b, b)[:, None] * ca + _dot(c, c)[:, None] * ab
    return 6 * volume * np.abs(volume) / (areas * _length(center)).clip(1e-300)


def _outward(corners: np.ndarray) -> np.ndarray:
    a, b, c, d = np.moveaxis(corners, 1, 0)
    return np.stack(
        [
            np.cross(d - b, c - b),
            np.cross(c - a, d - a),
            np.cross(d - a, b - a),
            np.cross(b - a, c - a),
        ],
        axis=1,
    )


def in_parts(points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]) -> Shapes:
    """Measure all tetrahedra of a mesh, a part at a time, as millions of them take memory."""
    found = np.empty((len(Shapes._fields), len(tetrahedra)))
    for first in range(0, len(tetrahedra), _CHUNK):
        part = slice(first, first + _CHUNK)
        angles = dihedral_angles_deg(points_mm, tetrahedra[part])
        found[:, part] = (
            angles.min(axis=1),
            angles.max(axis=1),
            scaled_jacobians(points_mm, tetrahedra[part]),
            radius_ratios(points_mm, tetrahedra[part]),
        )
    return Shapes(*found)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # Faster than numpy.cross on many short vectors.
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)


def _length(a: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(a, a))
