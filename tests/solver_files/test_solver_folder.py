"""Folders of solvers' files: replaced if they are ours, left alone if not."""

from pathlib import Path

import numpy as np
import pytest
from support.regions import regular

from vecsetx.errors import InputError
from vecsetx.solver_files.opencarp import write_opencarp
from vecsetx.solver_files.simvascular import write_simvascular
from vecsetx.solver_files.solver_folder import check_replaceable, file_names, files_of
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh


def one() -> SolverMesh:
    points, tetrahedra = regular()
    around = np.full(4, 0b11, np.uint32)
    mesh = TetrahedralMesh(points, tetrahedra.astype(np.int32), np.array([1], np.uint8), around)
    return SolverMesh(mesh, ["LV"], [3], named_interfaces(facets_between(mesh), ["LV"]))


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


def test_a_former_result_is_replaced_whatever_its_format(tmp_path: Path) -> None:
    folder = tmp_path / "heart"
    for write in (write_opencarp, write_simvascular, write_simvascular, write_opencarp):
        write(one(), folder)
        assert set(files_of(folder)) == files(folder)
        assert list(tmp_path.iterdir()) == [folder]
    assert not list(folder.rglob("*.vtu"))


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "heart").mkdir()
    write_opencarp(one(), tmp_path / "heart")
    assert (tmp_path / "heart" / "heart.pts").is_file()


@pytest.mark.parametrize("other", ["run.par", "mesh-surfaces/mine.vtp", "results/vm.igb"])
@pytest.mark.parametrize("ours", [True, False])
def test_a_folder_with_other_files_stays(other: str, ours: bool, tmp_path: Path) -> None:
    folder = tmp_path / "heart"
    if ours:
        write_simvascular(one(), folder)
    (folder / other).parent.mkdir(parents=True, exist_ok=True)
    (folder / other).write_text("mine")
    before = files(folder)
    with pytest.raises(InputError, match=rf"not written \({other}\); move them elsewhere"):
        write_opencarp(one(), folder)
    assert files(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_a_readme_of_somebody_else_makes_no_folder_ours(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("My files.\n\nFiles:\nheart.pts\tnodes\n")
    (tmp_path / "heart.pts").write_text("0\n")
    assert files_of(tmp_path) == []
    with pytest.raises(InputError, match=r"\(README.txt and 1 more\)"):
        check_replaceable(tmp_path)
    (tmp_path / "README.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"\(README.txt and 1 more\)"):
        check_replaceable(tmp_path)


def test_files_and_links_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    write_opencarp(one(), tmp_path / "heart")
    (tmp_path / "link").symlink_to(tmp_path / "heart")
    for name in ("file", "link"):
        with pytest.raises(InputError, match=f"{name}: a folder of that name is to be written"):
            write_opencarp(one(), tmp_path / name)
    (tmp_path / "heart" / "results").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match=r"\(results\)"):
        write_opencarp(one(), tmp_path / "heart")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_folder_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    write_simvascular(one(), tmp_path / "heart")
    for folder in ("heart", "heart/mesh-surfaces"):
        assert (tmp_path / folder).stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_names_for_files_are_plain_and_different() -> None:
    names = ["LV endocardium", "RA, Aorta", "../../notes", "RA Aorta", "…", "ra_aorta_2", "É"]
    found = ["lv_endocardium", "ra_aorta", "notes", "ra_aorta_2", "unnamed", "ra_aorta_2_2"]
    assert file_names(names) == [*found, "unnamed_2"]
