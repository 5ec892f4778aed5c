"""Tubes as closed meshes: their length and radius are exact."""

import numpy as np

from vecsetx.measures.triangles import Triangles

__all__ = ["arc", "flat_tube"]


def arc(radius_mm: float, angle_deg: float, count: int = 80) -> np.ndarray:
    """Points of an arc in a plane, ``[count, 3]``."""
    angle = np.radians(np.linspace(0, angle_deg, count))
    return radius_mm * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)


def flat_tube(line_mm: np.ndarray, radius_mm: float, around: int = 48) -> Triangles:
    """A tube around a line in a plane, cut flat at its ends; its corners are on the circle."""
    tangent = np.gradient(line_mm, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # Of a line in a plane, one normal is that of the plane.
    up = np.cross(tangent[0], tangent[-1])
    up = up if np.linalg.norm(up) > 1e-6 else np.cross(tangent[0], [0.3, 0.5, 0.8])
    up /= np.linalg.norm(up)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    sides = np.cross(up, tangent)

    def ring(place: int, share: float) -> np.ndarray:
        r = share * radius_mm
        return line_mm[place] + r * (
            np.outer(np.cos(angle), sides[place]) + np.outer(np.sin(angle), up)
        )

    inner = np.arange(1, 8) / 8
    rings = [ring(0, s) for s in inner]
    rings += [ring(place, 1.0) for place in range(len(line_mm))]
    rings += [ring(-1, s) for s in inner[::-1]]
    first, last = len(rings) * around, len(rings) * around + 1
    vertices = np.concatenate([*rings, line_mm[:1], line_mm[-1:]])
    here = np.arange(around)
    beside = (here + 1) % around
    faces = [np.stack([np.full(around, first), beside, here], axis=1)]
    for step in range(len(rings) - 1):
        low, high = step * around, (step + 1) * around
        faces.append(np.stack([low + here, low + beside, high + here], axis=1))
        faces.append(np.stack([low + beside, high + beside, high + here], axis=1))
    top = (len(rings) - 1) * around
    faces.append(np.stack([np.full(around, last), top + here, top + beside], axis=1))
    return _outward(Triangles(vertices, np.concatenate(faces).astype(np.int64)))


def _outward(mesh: Triangles) -> Triangles:
    a, b, c = mesh.vertices_mm[mesh.faces].transpose(1, 0, 2)
    if (a * np.cross(b, c)).sum() > 0:
        return mesh
    return Triangles(mesh.vertices_mm, np.ascontiguousarray(mesh.faces[:, ::-1]))
