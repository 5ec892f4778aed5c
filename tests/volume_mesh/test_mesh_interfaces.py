"""Interfaces of meshes: where regions meet, and how they are called."""

from functools import cache
from pathlib import Path

import meshio
import numpy as np
import pytest
from support.regions import CENTERS, REGIONS, made

from vecsetx.solver_files.msh import write_msh
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import Interface, facets_between, name_of, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.pieces import piece_volumes_ml
from vecsetx.volume_mesh.quality import volumes_mm3

NAMES, IDS = ("LV", "RV", "Myocardium"), (3, 5, 1)


@cache
def mesh() -> TetrahedralMesh:
    return made(REGIONS, 1.5)


def test_walls_enclose_their_regions() -> None:
    """By the divergence theorem: normals point from the first side to the second."""
    surface = facets_between(mesh())
    a, b, c = np.moveaxis((surface.vertices_mm - CENTERS[1])[surface.faces], 1, 0)
    parts_ml = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6000
    for region in (1, 2, 3):
        outwards = parts_ml[surface.sides[:, 0] == region].sum()
        inwards = parts_ml[surface.sides[:, 1] == region].sum()
        assert outwards - inwards == pytest.approx(piece_volumes_ml(mesh(), region).sum())
    assert (surface.sides[:, 0] != surface.sides[:, 1]).all()
    assert (surface.sides[:, 0] > 0).all()


def test_walls_are_all_facets_between_regions_found_one_by_one() -> None:
    of_facet: dict[frozenset[int], list[int]] = {}
    for corners, region in zip(mesh().tetrahedra.tolist(), mesh().region.tolist(), strict=True):
        for corner in corners:
            of_facet.setdefault(frozenset(corners) - {corner}, []).append(region)
    expected = {
        facet: {*regions, *([0] if len(regions) == 1 else [])}
        for facet, regions in of_facet.items()
        if len(regions) == 1 or regions[0] != regions[1]
    }
    surface = facets_between(mesh())
    found = {
        frozenset(corners): set(sides)
        for corners, sides in zip(surface.faces.tolist(), surface.sides.tolist(), strict=True)
    }
    assert found == expected
    assert len(found) == len(surface.faces)


def test_names() -> None:
    interfaces = named_interfaces(facets_between(mesh()), NAMES)
    assert {interface.name: interface.sides for interface in interfaces} == {
        "LV, RV": (1, 2),
        "LV endocardium": (1, 3),
        "RV outside": (2, 0),
        "RV septum": (2, 3),
        "LV epicardium": (3, 0),
    }
    assert sum(len(interface.facets) for interface in interfaces) == len(
        facets_between(mesh()).faces
    )
    assert name_of((2, 1), ("LA", "LV")) == "mitral valve"


@pytest.mark.parametrize(("space", "signs"), [("lps", [-1, -1, 1]), ("ras", [1, 1, 1])])
def test_another_program_reads_what_gmsh_would(
    space: str, signs: list[int], tmp_path: Path
) -> None:
    named = named_interfaces(facets_between(mesh()), NAMES)
    ring = np.unique(named[0].facets)[::3]
    whole = SolverMesh(mesh(), NAMES, IDS, named, {"ring": ring})
    write_msh(whole, tmp_path / "heart.msh", space)
    assert (tmp_path / "heart.msh").read_bytes().startswith(b"$MeshFormat\n4.1 1 8\n")
    found = meshio.read(tmp_path / "heart.msh")
    # Nodes are listed by what they lie on.
    place = {tuple(at): number for number, at in enumerate((mesh().points_mm * signs).tolist())}
    number = np.array([place[tuple(at)] for at in found.points.tolist()])
    assert sorted(number.tolist()) == list(range(len(mesh().points_mm)))
    interfaces = {interface.name: interface for interface in named}
    groups = {tuple(values.tolist()): name for name, values in found.field_data.items()}
    for block, tags in zip(found.cells, found.cell_data["gmsh:physical"], strict=True):
        (tag,) = set(tags.tolist())
        if block.type == "tetra":
            region = IDS.index(tag) + 1
            assert groups[tag, 3] == f"{NAMES[region - 1]} ({space.upper()} mm)"
            corners = block.data.astype(np.int32)
            assert volumes_mm3(found.points, corners) == pytest.approx(
                volumes_mm3(mesh().points_mm, mesh().of_region(region))
            )
        elif block.type == "vertex":
            assert groups[tag, 0] == "ring"
            assert sorted(number[block.data.ravel()].tolist()) == ring.tolist()
        else:
            interface = interfaces.pop(groups[tag, 2])
            assert (np.sort(number[block.data], axis=1) == np.sort(interface.facets, axis=1)).all()
    assert not interfaces


def test_a_group_whose_nodes_all_belong_to_others_is_kept(tmp_path: Path) -> None:
    """Gmsh lists each node once, and knows only groups that have one."""
    points, corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]), [[0, 1, 2, 3]]
    around = np.full(4, 0b11, np.uint32)
    one = TetrahedralMesh(points, np.array(corners, np.int32), np.array([1], np.uint8), around)
    facets = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2]], np.int32)
    named = [Interface(name, (1, 0), facets[[k]]) for k, name in enumerate("ab")]
    write_msh(SolverMesh(one, ["LV"], [3], named, {"ring": np.arange(4)}), tmp_path / "one.msh")
    found = meshio.read(tmp_path / "one.msh")
    tags = [tags.tolist() for tags in found.cell_data["gmsh:physical"]]
    assert tags == [[3], [101], [102], [201] * 4]
