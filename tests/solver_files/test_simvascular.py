"""Meshes as SimVascular's files, read by another program."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from support.regions import REGIONS, made

from vecsetx.solver_files.simvascular import write_simvascular
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.quality import volumes_mm3

NAMES, IDS = ["LV", "LA", "Myocardium"], [500, 420, 205]
SIGNS = {"lps": [-1, -1, 1], "ras": [1, 1, 1]}
SURFACES = {
    "LV endocardium": "lv_endocardium",
    "LA, Myocardium": "la_myocardium",
    "LA outside": "la_outside",
    "LV epicardium": "lv_epicardium",
    "LV outside": "lv_outside",
    "mitral valve": "mitral_valve",
}


@pytest.fixture(scope="module")
def whole() -> SolverMesh:
    mesh = made(REGIONS, 3.0)
    return SolverMesh(mesh, NAMES, IDS, named_interfaces(facets_between(mesh), NAMES))


def check_surface(found: pv.PolyData, whole: SolverMesh, space: str) -> np.ndarray:
    """Check a surface against the mesh; return its facets as nodes of the mesh."""
    mesh, nodes = whole.mesh, found.point_data["GlobalNodeID"] - 1
    assert found.point_data["GlobalNodeID"].dtype == np.int32
    assert found.cell_data["GlobalElementID"].dtype == np.int32
    assert found.points == pytest.approx((mesh.points_mm * SIGNS[space])[nodes], abs=1e-5)
    facets = nodes[found.regular_faces]
    elements = mesh.tetrahedra[found.cell_data["GlobalElementID"] - 1]
    assert (facets[:, :, None] == elements[:, None]).any(axis=2).all()
    # The element lies behind its facet: the fourth corner is on the other side of the normal.
    others = elements[~(elements[:, :, None] == facets[:, None]).any(axis=2)]
    corners = mesh.points_mm[facets]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normals * (mesh.points_mm[others] - corners[:, 0])).sum(axis=1) < 0).all()
    return facets


@pytest.mark.parametrize("space", ["lps", "ras"])
def test_what_was_written_is_read(whole: SolverMesh, space: str, tmp_path: Path) -> None:
    folder, mesh = tmp_path / "heart", whole.mesh
    write_simvascular(whole, folder, space)
    found = pv.read(folder / "mesh-complete.mesh.vtu")
    assert found.points == pytest.approx(mesh.points_mm * SIGNS[space], abs=1e-5)
    corners = found.cells_dict[pv.CellType.TETRA].astype(np.int32)
    assert (corners == mesh.tetrahedra).all()
    assert (volumes_mm3(np.asarray(found.points, float), corners) > 0).all()
    ids = {"GlobalElementID": found.cell_data, "GlobalNodeID": found.point_data}
    for name, data in ids.items():
        assert data[name].dtype == np.int32
        assert (data[name] == np.arange(1, len(data[name]) + 1)).all()
    assert (found.cell_data["ModelRegionID"] == np.array([0, *IDS])[mesh.region]).all()
    assert (found.cell_data["DOMAIN_ID"] == mesh.region).all()
    assert found.cell_data["DOMAIN_ID"].dtype == np.int32
    surfaces = sorted(file.stem for file in (folder / "mesh-surfaces").iterdir())
    assert surfaces == sorted(SURFACES.values())
    for number, interface in enumerate(whole.interfaces, 1):
        surface = pv.read(folder / "mesh-surfaces" / f"{SURFACES[interface.name]}.vtp")
        assert (check_surface(surface, whole, space) == interface.facets).all()
        assert set(surface.cell_data["ModelFaceID"]) == {number}
        of = mesh.region[surface.cell_data["GlobalElementID"] - 1]
        assert set(of.tolist()) == {interface.sides[0]}


def test_the_outer_surface_is_closed(whole: SolverMesh, tmp_path: Path) -> None:
    write_simvascular(whole, tmp_path / "heart")
    found = pv.read(tmp_path / "heart" / "mesh-complete.exterior.vtp")
    facets = check_surface(found, whole, "lps")
    outer = [one for one in whole.interfaces if one.sides[1] == 0]
    assert (facets == np.concatenate([one.facets for one in outer])).all()
    numbers = [1 + whole.interfaces.index(one) for one in outer]
    assert set(found.cell_data["ModelFaceID"]) == set(numbers)
    assert found.is_manifold
    volume = volumes_mm3(whole.mesh.points_mm, whole.mesh.tetrahedra).sum()
    assert found.volume == pytest.approx(volume, rel=1e-5)


def test_fibres_have_files_of_their_own(whole: SolverMesh, tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).normal(size=(2, len(whole.mesh.tetrahedra), 3))
    write_simvascular(
        replace(whole, vectors={"fiber": vectors[0], "sheet": vectors[1]}), tmp_path / "heart"
    )
    for file, expected in zip(("fibersLong.vtu", "fibersSheet.vtu"), vectors, strict=True):
        found = pv.read(tmp_path / "heart" / file)
        assert (found.cell_data["FIB_DIR"] == expected * [-1, -1, 1]).all()
        assert found.cell_data["FIB_DIR"].dtype == np.float64
        assert (found.cells_dict[pv.CellType.TETRA] == whole.mesh.tetrahedra).all()


def test_without_fibres_there_are_no_files_of_them(whole: SolverMesh, tmp_path: Path) -> None:
    write_simvascular(whole, tmp_path / "heart")
    files = {str(file.relative_to(tmp_path / "heart")) for file in tmp_path.rglob("*.*")}
    assert files == {
        "README.txt",
        "mesh-complete.mesh.vtu",
        "mesh-complete.exterior.vtp",
        *(f"mesh-surfaces/{name}.vtp" for name in SURFACES.values()),
    }
    text = (tmp_path / "heart" / "README.txt").read_text(encoding="utf-8")
    assert "Coordinates are in mm, axes are LPS (x to the patient's left" in text
    assert "\nmesh-surfaces/lv_endocardium.vtp\tLV endocardium, " in text
