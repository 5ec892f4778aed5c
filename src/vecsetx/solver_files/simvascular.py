"""Tetrahedral meshes as SimVascular's folder ``mesh-complete``, which svMultiPhysics reads.

The types of arrays are those that svMultiPhysics reads (https://github.com/SimVascular/svMultiPhysics,
``vtk_xml_parser.cpp``): 32-bit integers and, for fibres, 64-bit floats.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter, vtkXMLUnstructuredGridWriter

from vecsetx.reconstruction.surfaces import axes, to_polydata
from vecsetx.solver_files.solver_folder import file_names, solver_folder
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.solver_files.vtk_xml import add_array, to_grid, write_xml
from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.splitting import facets_of

__all__ = ["write_simvascular"]

_FIBRES = {"fiber": "fibersLong.vtu", "sheet": "fibersSheet.vtu"}

_NOTES = (
    "svMultiPhysics takes lengths in the unit of its other quantities: give Mesh_scale_factor 0.1 "
    "for cm.",
    "Cell arrays of the mesh: ModelRegionID, the ids below; DOMAIN_ID, the regions from 1 in the "
    "order below, for Domain_file_path. Normals of surfaces point from the first of their two "
    "regions to the second, or out of the heart; their elements are those of the first.",
)


def write_simvascular(whole: SolverMesh, folder: Path, space: str = "lps") -> None:
    """Write a mesh as a folder of SimVascular's files, all of them or none.

    ``mesh-complete.mesh.vtu`` is the mesh, ``mesh-surfaces/lv_endocardium.vtp`` and so on are its
    interfaces, ``mesh-complete.exterior.vtp`` is the outer surface. Nodes and elements are counted
    from 1. ``fibersLong.vtu`` and ``fibersSheet.vtu`` have the vectors ``fiber`` and ``sheet``.
    ``README.txt`` names unit, axes, regions and surfaces.

    Args:
        whole: The mesh, with all that is known of it.
        folder: The folder.
        space: Axes of the files, ``lps`` or ``ras``.

    Raises:
        InputError: The folder holds other files than those of a former result.
        OSError: A file cannot be written completely.
    """
    mesh, interfaces, signs = whole.mesh, whole.interfaces, axes(space)
    with solver_folder(folder, whole, "SimVascular", "mm", space, _NOTES) as written:
        counts = f"{len(mesh.tetrahedra):,} tetrahedra, {len(mesh.points_mm):,} nodes"
        grid = to_grid(mesh, space)
        add_array(grid.GetPointData(), "GlobalNodeID", _from_one(len(mesh.points_mm)))
        cells = grid.GetCellData()
        add_array(cells, "GlobalElementID", _from_one(len(mesh.tetrahedra)))
        of_region = np.array([0, *whole.ids], dtype=np.int32)
        add_array(cells, "ModelRegionID", of_region[mesh.region])
        # svMultiPhysics keeps domains as bits: ids of label sets, such as 500, would not fit.
        add_array(cells, "DOMAIN_ID", mesh.region.astype(np.int32))
        path = written.file("mesh-complete.mesh.vtu", counts)
        write_xml(vtkXMLUnstructuredGridWriter(), grid, path)
        for name, file in _FIBRES.items():
            if name in whole.vectors:
                grid = to_grid(mesh, space)
                directions = (whole.vectors[name] * signs).astype(np.float64)
                add_array(grid.GetCellData(), "FIB_DIR", directions)
                path = written.file(file, f"directions of each element: {name}")
                write_xml(vtkXMLUnstructuredGridWriter(), grid, path)
        outer = [number for number, one in enumerate(interfaces) if 0 in one.sides]
        path = written.file("mesh-complete.exterior.vtp", "the outer surface")
        _write_surface(mesh, interfaces, outer, path, space)
        plain = file_names([interface.name for interface in interfaces])
        for number, interface in enumerate(interfaces):
            holds = f"{interface.name}, {len(interface.facets):,} triangles, face {number + 1}"
            path = written.file(f"mesh-surfaces/{plain[number]}.vtp", holds)
            _write_surface(mesh, interfaces, [number], path, space)


def _write_surface(
    mesh: TetrahedralMesh,
    interfaces: Sequence[Interface],
    chosen: Sequence[int],
    path: Path,
    space: str,
) -> None:
    """Write some of the interfaces as one surface."""
    facets = np.concatenate([interfaces[number].facets for number in chosen])
    elements = np.concatenate([_elements_of(mesh, interfaces[number]) for number in chosen])
    counts = [len(interfaces[number].facets) for number in chosen]
    nodes, faces = np.unique(facets, return_inverse=True)
    points_mm = (mesh.points_mm[nodes] * axes(space)).astype(np.float32)
    polydata = to_polydata(points_mm, faces.reshape(-1, 3))
    add_array(polydata.GetPointData(), "GlobalNodeID", (nodes + 1).astype(np.int32))
    cells = polydata.GetCellData()
    add_array(cells, "GlobalElementID", (elements + 1).astype(np.int32))
    face_ids = np.repeat(np.array(chosen, dtype=np.int32) + 1, counts)
    add_array(cells, "ModelFaceID", face_ids.astype(np.int32))
    write_xml(vtkXMLPolyDataWriter(), polydata, path)


def _elements_of(mesh: TetrahedralMesh, interface: Interface) -> Int[np.ndarray, " f"]:
    """Return the tetrahedron of each facet, in the first of the two regions."""
    on_interface = np.zeros(len(mesh.points_mm), dtype=bool)
    on_interface[interface.facets] = True
    near = np.flatnonzero(
        (mesh.region == interface.sides[0]) & (on_interface[mesh.tetrahedra].sum(axis=1) >= 3)
    )
    # Each facet's corners are those of exactly one facet of these tetrahedra.
    there = np.sort(facets_of(mesh.tetrahedra[near]), axis=1)
    wanted = np.sort(interface.facets, axis=1)
    order = np.lexsort(np.concatenate([there, wanted]).T)
    is_wanted = order >= len(there)
    # lexsort is stable: a facet of a tetrahedron comes right before its equal that is wanted.
    before = order[np.flatnonzero(is_wanted) - 1]
    elements = np.empty(len(wanted), dtype=np.int64)
    elements[order[is_wanted] - len(there)] = near[before // 4]
    return elements


def _from_one(count: int) -> Int[np.ndarray, " n"]:
    return np.arange(1, count + 1, dtype=np.int32)
