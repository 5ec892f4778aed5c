"""Meshes as files, read by another program."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from support.regions import regular

from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.solver_files.vtk_xml import write_vtp, write_vtu
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.quality import volumes_mm3

NAMES, IDS = ["LV", "PA"], [3, 7]


def two() -> SolverMesh:
    """Two tetrahedra that share a facet, of regions 2 and 1."""
    points, tetrahedra = regular()
    points = np.concatenate([points, [[3.0, 3, -3]]])
    both = np.concatenate([tetrahedra, [[0, 1, 2, 4]]]).astype(np.int32)
    turned = volumes_mm3(points, both) < 0
    both[turned] = both[turned][:, [1, 0, 2, 3]]
    around = np.full(5, 0b111, np.uint32)
    mesh = TetrahedralMesh(points, both, np.array([2, 1], np.uint8), around)
    return SolverMesh(mesh, NAMES, IDS, named_interfaces(facets_between(mesh), NAMES))


@pytest.mark.parametrize(("space", "signs"), [("lps", [-1, -1, 1]), ("ras", [1, 1, 1])])
def test_what_was_written_is_read(space: str, signs: list[int], tmp_path: Path) -> None:
    mesh = two().mesh
    vectors = {"fiber": np.array([[0.6, 0, 0.8], [0, 1, 0]])}
    coordinates = {"apicobasal": np.array([0, 0.25, 0.5, 1, np.nan])}
    sets = {"mitral ring": np.array([1, 4])}
    whole = replace(two(), vectors=vectors, coordinates=coordinates, node_sets=sets)
    write_vtu(whole, tmp_path / "heart.vtu", space)
    found = pv.read(tmp_path / "heart.vtu")
    assert found.points == pytest.approx(mesh.points_mm * signs)
    corners = found.cells_dict[pv.CellType.TETRA].astype(np.int32)
    assert (np.sort(corners, axis=1) == np.sort(mesh.tetrahedra, axis=1)).all()
    assert volumes_mm3(np.asarray(found.points, float), corners) == pytest.approx(
        volumes_mm3(mesh.points_mm, mesh.tetrahedra), rel=1e-5
    )
    assert found.cell_data["region"].tolist() == [7, 3]
    assert found.cell_data["fiber"] == pytest.approx(vectors["fiber"] * signs)
    assert found.point_data["apicobasal"] == pytest.approx(coordinates["apicobasal"], nan_ok=True)
    assert found.point_data["mitral ring"].tolist() == [0, 1, 0, 0, 1]
    assert found.field_data["SPACE"].tolist() == [space.upper()]
    assert found.field_data["Structures"].tolist() == ["LV", "PA"]
    assert found.field_data["Ids"].tolist() == [3, 7]
    assert [file.name for file in tmp_path.iterdir()] == ["heart.vtu"]


def test_a_space_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown space"):
        write_vtu(two(), tmp_path / "heart.vtu", "lpi")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("space", "signs"), [("lps", [-1, -1, 1]), ("ras", [1, 1, 1])])
def test_walls_name_their_sides_and_the_nodes_of_the_mesh(
    space: str, signs: list[int], tmp_path: Path
) -> None:
    whole = replace(two(), node_sets={"mitral ring": np.array([1, 4])})
    write_vtp(whole, tmp_path / "interfaces.vtp", space)
    found = pv.read(tmp_path / "interfaces.vtp")
    assert set(found.point_data["Node"][found.point_data["mitral ring"] == 1].tolist()) == {1, 4}
    assert found.points == pytest.approx((two().mesh.points_mm * signs)[found.point_data["Node"]])
    names = found.field_data["Interfaces"].tolist()
    assert names == ["LV outside", "LV, PA", "PA outside"]
    sides = {"LV outside": (3, 0), "LV, PA": (3, 7), "PA outside": (7, 0)}
    for name, of_facet in zip(names, sides.values(), strict=True):
        own = found.cell_data["Interface"] == names.index(name)
        assert set(map(tuple, found.cell_data["Sides"][own].tolist())) == {of_facet}
    assert np.bincount(found.cell_data["Interface"]).tolist() == [3, 1, 3]
