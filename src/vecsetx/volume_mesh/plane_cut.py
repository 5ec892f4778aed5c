"""What a plane cuts of a mesh: a polygon of each tetrahedron that it passes through."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt

from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["PlaneCut", "cut_by_plane", "richest_place_mm"]

_PLACES = 24
"""Places along an axis among which the richest is chosen."""

# Corners of the polygon as edges of the tetrahedron, whose corners are sorted: the one alone on its
# side first, or the two above before the two below.
_TRIANGLE = np.array([[0, 1], [0, 2], [0, 3], [0, 3]])
_QUADRANGLE = np.array([[0, 2], [0, 3], [1, 3], [1, 2]])


class PlaneCut(NamedTuple):
    """What a plane cuts.

    Attributes:
        corners_mm: Corners of N convex polygons, one after the other along each one's border; the
            last two of a triangle are the same.
        region: Region of each, 1…K.
    """

    corners_mm: Float[np.ndarray, "n 4 3"]
    region: UInt[np.ndarray, " n"]


def cut_by_plane(mesh: TetrahedralMesh, axis: int, place_mm: float) -> PlaneCut:
    """Cut a mesh by a plane.

    Args:
        mesh: The mesh.
        axis: The axis across the plane: 0, 1 or 2.
        place_mm: Where the plane is along it.
    """
    height = mesh.points_mm[:, axis] - place_mm
    above = (height >= 0)[mesh.tetrahedra]
    count = above.sum(axis=1)
    found, regions = [], []
    for counts, edges in (((1, 3), _TRIANGLE), ((2,), _QUADRANGLE)):
        crossed = np.flatnonzero(np.isin(count, counts))
        # Those above come first, unless three of them are.
        last = above[crossed] == (count[crossed] == 3)[:, None]
        order = np.argsort(last, axis=1, kind="stable")
        sorted_corners = np.take_along_axis(mesh.tetrahedra[crossed], order, axis=1)
        ends = sorted_corners[:, edges]
        first, second = height[ends[..., 0]], height[ends[..., 1]]
        share = (first / (first - second))[..., None]
        corners = mesh.points_mm[ends]
        found.append(corners[:, :, 0] + share * (corners[:, :, 1] - corners[:, :, 0]))
        regions.append(mesh.region[crossed])
    return PlaneCut(np.concatenate(found), np.concatenate(regions))


def richest_place_mm(mesh: TetrahedralMesh, axis: int) -> float:
    """Return where a plane cuts the most regions; of such places, the most tetrahedra."""
    along = mesh.points_mm[:, axis]
    low, high = along[mesh.tetrahedra].min(axis=1), along[mesh.tetrahedra].max(axis=1)
    places = np.linspace(along.min(), along.max(), _PLACES + 2)[1:-1]
    crossed = [mesh.region[(low < place) & (high > place)] for place in places]
    rich = [(len(np.unique(regions)), len(regions)) for regions in crossed]
    return float(places[rich.index(max(rich))])
