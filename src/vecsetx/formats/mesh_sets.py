"""The meshes of a heart, one file per structure: held against the size and handedness of hearts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecsetx.anatomy.handedness import is_mirrored
from vecsetx.anatomy.size import HeartSize, check_coordinates
from vecsetx.errors import InputError
from vecsetx.formats.closed_mesh import ClosedMesh
from vecsetx.formats.meshes import read_mesh
from vecsetx.formats.own_results import inferred_remark

__all__ = ["MeshSet", "read_meshes"]


@dataclass(frozen=True, slots=True)
class MeshSet:
    """The closed meshes of a heart.

    Attributes:
        meshes: Structure → its mesh.
        remarks: Notes for the user on what was changed or is unusual, as sentences.
    """

    meshes: Mapping[str, ClosedMesh]
    remarks: tuple[str, ...]


def read_meshes(files: Mapping[str, Path], space: str = "lps", units: str = "mm") -> MeshSet:
    """Read a heart's meshes, one file per structure.

    Where the faces of all meshes look inwards, they are turned outwards if the anatomy shows that
    the heart is not mirrored.

    Args:
        files: Structure → file; at least one, all in one folder.
        space: Axes of the coordinates, ``lps`` or ``ras``, in files that do not specify them.
        units: Unit of the coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.

    Raises:
        InputError: A mesh is unreadable or encloses no volume (:func:`read_mesh`), no heart has the
            size, some meshes face inwards and others outwards, or all face inwards in a heart that
            is mirrored or may be.
    """
    folder = next(iter(files.values())).parent
    meshes = {name: read_mesh(file, space, units) for name, file in files.items()}
    check_coordinates(_size(meshes), units, folder)
    remarks = [
        f"{name}: duplicate faces removed: {mesh.duplicates}"
        for name, mesh in meshes.items()
        if mesh.duplicates
    ]
    if counts := [f"{name} {mesh.specks}" for name, mesh in meshes.items() if mesh.specks]:
        ml = sum(mesh.specks_ml for mesh in meshes.values())
        remarks.append(f"specks removed: {', '.join(counts)} ({ml:.2g} ml in all)")
    remarks += inferred_remark({name: mesh.inferred_share for name, mesh in meshes.items()})
    if units != "mm":
        remarks.append(f"coordinates were converted from {units} to mm")
    remarks += _facing(meshes, files, folder)
    return MeshSet(meshes, tuple(remarks))


def _size(meshes: Mapping[str, ClosedMesh]) -> HeartSize:
    vertices_mm = np.concatenate([mesh.vertices_mm for mesh in meshes.values()])
    volume_ml = sum(mesh.volume_ml() for mesh in meshes.values())
    return HeartSize.of(np.ptp(vertices_mm, axis=0), volume_ml, meshes)


def _facing(meshes: Mapping[str, ClosedMesh], files: Mapping[str, Path], folder: Path) -> list[str]:
    """Return remarks on meshes that were turned outwards, and on a mirrored heart."""
    mirrored = is_mirrored({name: mesh.centroid_mm() for name, mesh in meshes.items()})
    inward = [name for name, mesh in meshes.items() if mesh.is_inward]
    if not inward:
        if mirrored:
            return ["the heart is mirrored: left and right are exchanged, or a situs inversus"]
        return []
    if outward := [name for name in meshes if name not in inward]:
        raise InputError(
            f"{files[inward[0]]}: all faces point inwards, but those of {', '.join(outward)} "
            "outwards; flip its normals"
        )
    if mirrored is None:
        raise InputError(
            f"{folder}: all faces point inwards; flip the normals or, if an axis has the wrong "
            "sign and the heart is mirrored, mirror it back (LV, RV, Aorta and LA together would "
            "tell which)"
        )
    if mirrored:
        raise InputError(
            f"{folder}: all faces point inwards because the heart is mirrored, left and right "
            "exchanged; mirror it back by changing the sign of one axis"
        )
    return [
        f"all faces of {', '.join(inward)} pointed inwards and were turned outwards; the heart is "
        "not mirrored"
    ]
