"""Cut ends: where a structure's surface is the edge of the scan."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from vecsetx.anatomy.field_of_view import FieldOfView
from vecsetx.volume_mesh.interfaces import Interface

__all__ = ["at_scan_edge", "with_cut_ends"]

_BEYOND_VOXELS = 0.75
"""So far beyond a cut end, the scan is over. Cut structures end at the outer faces of the last
voxels, their walls half a voxel before; what the scan does not cut ends a voxel before or earlier.
"""


def with_cut_ends(
    interfaces: Sequence[Interface],
    points_mm: Float[np.ndarray, "v 3"],
    names: Sequence[str],
    cut: Collection[str],
    view: FieldOfView,
) -> list[Interface]:
    """Part the outer surface of cut regions: where the scan ends is an interface of its own.

    Args:
        interfaces: The interfaces of a mesh.
        points_mm: Its vertices, RAS+ mm.
        names: Names of its K regions.
        cut: Names of those that the scan cuts.
        view: The scan.

    Returns:
        The interfaces, each with its cut end after it, such as ``Aorta cut``.
    """
    found = []
    for interface in interfaces:
        region, other = interface.sides
        if other or names[region - 1] not in cut:
            found.append(interface)
            continue
        at_edge = at_scan_edge(points_mm, interface.facets, view)
        cut_end = f"{names[region - 1]} cut"
        if not at_edge.all():
            found.append(replace(interface, facets=interface.facets[~at_edge]))
        if at_edge.any():
            found.append(Interface(cut_end, (region, 0), interface.facets[at_edge], is_cut=True))
    return found


def at_scan_edge(
    points_mm: Float[np.ndarray, "v 3"], facets: Int[np.ndarray, "f 3"], view: FieldOfView
) -> Bool[np.ndarray, " f"]:
    """Return which facets of an outer surface lie where the scan ends, and face out of it."""
    a, b, c = np.moveaxis(points_mm[facets], 1, 0)
    normals = np.cross(b - a, c - a)
    # Go out along the axis of the grid whose planes a facet is most parallel to.
    planes = np.linalg.inv(view.affine[:3, :3])
    facing = normals @ (planes / np.linalg.norm(planes, axis=1, keepdims=True)).T
    axis = np.abs(facing).argmax(axis=1)
    way = np.sign(np.take_along_axis(facing, axis[:, None], axis=1))
    beyond = _BEYOND_VOXELS * way * view.affine[:3, axis].T
    # One corner is enough: where a cut end turns into the side, facets are bevelled.
    return ~np.logical_and.reduce([view.shows(corner + beyond) for corner in (a, b, c)])
