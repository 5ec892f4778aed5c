"""Netgen and fTetWild beside ``vecsetx volume-mesh``: time, regions, shapes of tetrahedra.

    python benchmarks/other_meshers.py HEARTS… [--edge-mm 2] [--limit-s 900] [--json FILE]

Needs ``netgen-mesher`` and ``pytetwild``, which VecSetX does without. HEARTS are label maps. All
three get the same heart and the same length of edges, each in a process of its own with a limit of
time. The other two mesh the smooth shared surface of the label map: Netgen keeps its triangles, so
it gets them decimated to about that length; fTetWild makes its own. Tetrahedra of fTetWild carry no
region; they get that of the label map at their centre. ``off`` is the largest distance of an
interface's vertex from the surface that was given.
"""

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree

from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.heart_source import HeartSource
from vecsetx.geometry.interfaces import SharedSurface, remove_specks, shared_surface
from vecsetx.reconstruction.decimation import decimate_interfaces
from vecsetx.volume_mesh.heart_mesh import mesh_heart
from vecsetx.volume_mesh.interfaces import facets_between
from vecsetx.volume_mesh.mesh import TetrahedralMesh, regions_around
from vecsetx.volume_mesh.parts import Parts
from vecsetx.volume_mesh.quality import in_parts


def ours(heart: HeartSource, edge_mm: float) -> TetrahedralMesh:
    source = heart.resolved()
    segmentation = source.segmentation(source.label_set.structures)
    geometry = segmentation.geometry()
    present = geometry.present()
    names = tuple(np.array(segmentation.structures)[present].tolist())
    parts = Parts(geometry.restricted(present), names, names)
    return mesh_heart(parts, dict.fromkeys(names, edge_mm))[0]


def surface_of(heart: HeartSource) -> tuple[Any, SharedSurface]:
    source = heart.resolved()
    label_map = remove_specks(source.segmentation(source.label_set.structures).label_map)
    return label_map, shared_surface(label_map)


def netgen(heart: HeartSource, edge_mm: float) -> TetrahedralMesh:
    import netgen.meshing as netgen

    _, surface = surface_of(heart)
    a, b, c = np.moveaxis(surface.vertices_mm[surface.faces], 1, 0)
    area_mm2 = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    coarse = decimate_interfaces(surface, int(area_mm2 / (np.sqrt(3) / 4 * edge_mm**2)))
    mesh = netgen.Mesh()
    points = [mesh.Add(netgen.MeshPoint(netgen.Pnt(*at))) for at in coarse.vertices_mm.tolist()]
    pairs, number = np.unique(coarse.sides, axis=0, return_inverse=True)
    for index, (inside, outside) in enumerate(pairs.tolist(), 1):
        mesh.Add(netgen.FaceDescriptor(bc=index, domin=inside, domout=outside, surfnr=index))
    for face, index in zip(coarse.faces.tolist(), number.ravel().tolist(), strict=True):
        mesh.Add(netgen.Element2D(index + 1, [points[corner] for corner in face]))
    mesh.GenerateVolumeMesh(maxh=4 * edge_mm)
    at = np.array([point.p for point in mesh.Points()])
    elements = mesh.Elements3D().NumPy()
    corners = elements["nodes"][:, :4].astype(np.int32) - 1
    return as_ours(at, corners, elements["index"].astype(np.uint8))


def tetwild(heart: HeartSource, edge_mm: float) -> TetrahedralMesh:
    import pytetwild

    label_map, surface = surface_of(heart)
    at, corners = pytetwild.tetrahedralize(
        surface.vertices_mm, surface.faces.astype(np.int32), edge_length_abs=edge_mm
    )
    region = label_map.at(at[corners].mean(axis=1)).astype(np.uint8)
    inside = region > 0
    return as_ours(at, corners[inside].astype(np.int32), region[inside])


def as_ours(at: np.ndarray, corners: np.ndarray, region: np.ndarray) -> TetrahedralMesh:
    used, numbers = np.unique(corners, return_inverse=True)
    corners = numbers.reshape(-1, 4).astype(np.int32)
    a, b, c, d = np.moveaxis(at[used][corners], 1, 0)
    turned = ((b - a) * np.cross(c - a, d - a)).sum(axis=1) < 0
    corners[turned] = corners[turned][:, [1, 0, 2, 3]]
    around = regions_around(corners, region, len(used))
    return TetrahedralMesh(at[used].astype(np.float64), corners, region, around)


MESHERS: dict[str, Callable[[HeartSource, float], TetrahedralMesh]] = {
    "vecsetx": ours,
    "Netgen": netgen,
    "fTetWild": tetwild,
}


def looked_at(mesh: TetrahedralMesh, heart: HeartSource) -> dict[str, Any]:
    least, _, jacobian, *_ = in_parts(mesh.points_mm, mesh.tetrahedra)
    _, surface = surface_of(heart)
    centers_mm = surface.vertices_mm[surface.faces].mean(axis=1)
    given = KDTree(np.concatenate([surface.vertices_mm, centers_mm]))
    on_interfaces = np.unique(facets_between(mesh).faces)
    return {
        "tetrahedra": len(mesh.tetrahedra),
        "least_dihedral_deg": float(least.min()),
        "dihedral_of_99_percent_deg": float(np.quantile(least, 0.01)),
        "least_scaled_jacobian": float(jacobian.min()),
        "largest_mm": float(given.query(mesh.points_mm[on_interfaces])[0].max()),
    }


def run(name: str, heart: HeartSource, edge_mm: float, told: Any) -> None:
    """Mesh, and tell what came out; called in a process of its own."""
    began = time.monotonic()
    mesh = MESHERS[name](heart, edge_mm)
    seconds = time.monotonic() - began
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    told.put({"seconds": seconds, "peak_gb": peak_gb, **looked_at(mesh, heart)})


def within(limit_s: float, *arguments: Any) -> dict[str, Any]:
    """Run in a process with a limit of time; what fails or takes too long says so."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=run, args=(*arguments, told))
    began = time.monotonic()
    process.start()
    while process.is_alive() and time.monotonic() - began < limit_s and told.empty():
        process.join(0.5)
    found: dict[str, Any] = {"failed": f"status {process.exitcode}"}
    if not told.empty():
        found = told.get()
        process.join()
    elif process.is_alive():
        process.kill()
        found = {"failed": f"more than {limit_s:g} s"}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hearts", type=Path, nargs="+", help="label maps, or folders of them")
    parser.add_argument("--edge-mm", type=float, default=2.0)
    parser.add_argument("--limit-s", type=float, default=900.0)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    given = parser.parse_args()
    headings = ("tetrahedra", "least angle °", "1% below °", "scaled Jacobian", "off mm", "s", "GB")
    table = Table("heart", "mesher", *headings, title=f"edges of {given.edge_mm:g} mm")
    results: dict[str, Any] = {}
    for name, heart in find_hearts(given.hearts).items():
        for mesher in MESHERS:
            found = within(given.limit_s, mesher, heart, given.edge_mm)
            results.setdefault(name, {})[mesher] = found
            if "failed" in found:
                table.add_row(name, mesher, found["failed"])
                continue
            table.add_row(
                name,
                mesher,
                f"{found['tetrahedra']:,}",
                f"{found['least_dihedral_deg']:.1f}",
                f"{found['dihedral_of_99_percent_deg']:.1f}",
                f"{found['least_scaled_jacobian']:.3f}",
                f"{found['largest_mm']:.2f}",
                f"{found['seconds']:.0f}",
                f"{found['peak_gb']:.1f}",
            )
    Console(width=160).print(table)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
