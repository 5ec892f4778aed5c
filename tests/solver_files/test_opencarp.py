"""Meshes as openCARP's files, read by its description of the formats."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.forked import server
from support.regions import REGIONS, made
from support.waiting import LONGEST_SECONDS

from vecsetx.errors import InputError
from vecsetx.files import clear_unfinished
from vecsetx.solver_files import opencarp
from vecsetx.solver_files.opencarp import write_opencarp
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.quality import volumes_mm3

NAMES, IDS = ["LV", "LA", "Myocardium"], [500, 420, 205]
SIGNS = {"lps": [-1, -1, 1], "ras": [1, 1, 1]}


def solver_mesh() -> SolverMesh:
    """Two chambers and a wall, with fibres in the wall and sets of nodes."""
    mesh = made(REGIONS, 4.0)
    named = named_interfaces(facets_between(mesh), NAMES)
    generator = np.random.default_rng(3)
    fiber, sheet = np.linalg.qr(generator.normal(size=(len(mesh.tetrahedra), 3, 2)))[0].T
    tissue = (mesh.region == 3)[:, None]
    sets = {"LV apex": np.array([7, 3]), "mitral valve": np.array([5]), "lv_apex": np.array([9])}
    vectors = {"fiber": fiber.T * tissue, "sheet": sheet.T * tissue}
    return SolverMesh(mesh, NAMES, IDS, named, sets, {}, vectors)


@pytest.fixture(scope="module")
def whole() -> SolverMesh:
    return solver_mesh()


def rows(path: Path, head: int = 1) -> tuple[list[str], list[list[str]]]:
    """The first lines of a file, and the words of all others."""
    lines = path.read_text(encoding="ascii").splitlines()
    return lines[:head], [line.split() for line in lines[head:]]


def numbers(path: Path, word: str = "") -> np.ndarray:
    """Rows of integers after a word, as many as the first line says."""
    (count,), found = rows(path)
    assert len(found) == int(count)
    assert {row[0] for row in found} <= {word}
    return np.array([[int(number) for number in row[1:]] for row in found])


def nodes(path: Path) -> list[int]:
    (count, domain), found = rows(path, 2)
    assert domain == "extra"
    assert len(found) == int(count)
    return [int(number) for (number,) in found]


def held(folder: Path) -> Mapping[str, str]:
    """What the README says of each file."""
    _, _, listed = (folder / "README.txt").read_text(encoding="utf-8").partition("\nFiles:\n")
    return dict(line.split("\t") for line in listed.splitlines())


@pytest.mark.parametrize("space", ["lps", "ras"])
@pytest.mark.parametrize("chunk", [100, 10_000])
def test_what_was_written_is_read(
    whole: SolverMesh, space: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencarp, "_ROWS", chunk)
    folder, signs, mesh = tmp_path / "case 1.2", SIGNS[space], whole.mesh
    write_opencarp(whole, folder, space)
    (count,), found = rows(folder / "case 1.2.pts")
    points_um = np.array(found, dtype=float)
    assert len(points_um) == int(count)
    assert points_um / 1000 == pytest.approx(mesh.points_mm * signs, abs=1e-5)
    elements = numbers(folder / "case 1.2.elem", "Tt")
    assert (elements[:, :4] == mesh.tetrahedra).all()
    assert (elements[:, 4] == np.array([0, *IDS])[mesh.region]).all()
    assert (volumes_mm3(points_um, elements[:, :4]) > 0).all()
    (vectors,), found = rows(folder / "case 1.2.lon")
    assert vectors == "2"
    for index, name in enumerate(("fiber", "sheet")):
        own = np.array(found, dtype=float)[:, 3 * index : 3 * index + 3]
        assert own == pytest.approx(whole.vectors[name] * signs, abs=1e-7)
        assert ((own == 0).all(axis=1) == (mesh.region != 3)).all()
    assert len(list(folder.glob("*.surf"))) == len(whole.interfaces) == 6
    for interface in whole.interfaces:
        plain = {"LV, LA": "mitral_valve"}.get(interface.name, interface.name.lower())
        plain = plain.replace(", ", "_").replace(" ", "_")
        surface = numbers(folder / f"case 1.2.{plain}.surf", "Tr")
        assert (surface == interface.facets).all()
        corners = set(interface.facets.ravel().tolist())
        assert nodes(folder / f"case 1.2.{plain}.vtx") == sorted(corners)


def test_sets_of_nodes_have_names_of_their_own(whole: SolverMesh, tmp_path: Path) -> None:
    write_opencarp(whole, tmp_path / "heart")
    assert nodes(tmp_path / "heart" / "heart.lv_apex.vtx") == [7, 3]
    assert nodes(tmp_path / "heart" / "heart.mitral_valve_2.vtx") == [5]
    assert nodes(tmp_path / "heart" / "heart.lv_apex_2.vtx") == [9]


def test_without_fibres_each_element_has_the_same_direction(
    whole: SolverMesh, tmp_path: Path
) -> None:
    write_opencarp(replace(whole, vectors={}), tmp_path / "heart")
    (vectors,), found = rows(tmp_path / "heart" / "heart.lon")
    assert vectors == "1"
    assert (np.array(found, dtype=float) == [1, 0, 0]).all()
    assert len(found) == len(whole.mesh.tetrahedra)
    assert "has no fibres" in (tmp_path / "heart" / "README.txt").read_text(encoding="utf-8")


def test_fibres_without_sheets_are_one_vector(whole: SolverMesh, tmp_path: Path) -> None:
    alone = replace(whole, vectors={"fiber": whole.vectors["fiber"]})
    write_opencarp(alone, tmp_path / "heart")
    (vectors,), found = rows(tmp_path / "heart" / "heart.lon")
    assert vectors == "1"
    assert np.array(found, dtype=float) == pytest.approx(
        whole.vectors["fiber"] * [-1, -1, 1], abs=1e-7
    )


def test_the_readme_says_what_files_cannot(whole: SolverMesh, tmp_path: Path) -> None:
    folder = tmp_path / "heart"
    write_opencarp(whole, folder, "ras")
    text = (folder / "README.txt").read_text(encoding="utf-8")
    assert "Coordinates are in µm, axes are RAS (x to the patient's right, y to the front" in text
    assert "\n\nRegions:\n500\tLV\n420\tLA\n205\tMyocardium\n\n" in text
    assert {file.name for file in folder.iterdir()} == {*held(folder), "README.txt"}
    facets = next(len(one.facets) for one in whole.interfaces if one.name == "LV endocardium")
    assert held(folder)["heart.lv_endocardium.surf"] == f"LV endocardium, {facets:,} triangles"
    assert held(folder)["heart.lv_apex.vtx"] == "LV apex, 2 nodes"


@pytest.mark.parametrize("was_there", [True, False])
def test_a_write_that_fails_leaves_the_former_folder_or_none(
    whole: SolverMesh, was_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "heart"
    if was_there:
        write_opencarp(whole, folder, "ras")
    before = {file.name: file.read_bytes() for file in folder.rglob("*")}
    named = opencarp._write

    def fails(path: Path, *args: object) -> None:
        named(path, *args)
        if path.suffix == ".surf":
            raise KeyboardInterrupt

    monkeypatch.setattr(opencarp, "_write", fails)
    with pytest.raises(KeyboardInterrupt):
        write_opencarp(whole, folder)
    assert {file.name: file.read_bytes() for file in folder.rglob("*")} == before
    assert [file.name for file in tmp_path.iterdir()] == ["heart"] * was_there


def write_until_killed(folder: Path) -> None:
    def dying(path: Path, *_: object) -> None:
        path.write_text("half of the n")
        os.kill(os.getpid(), signal.SIGKILL)

    opencarp._write = dying
    write_opencarp(solver_mesh(), folder)


def test_a_kill_leaves_no_folder_of_that_name(tmp_path: Path) -> None:
    process = server().Process(target=write_until_killed, args=(tmp_path / "heart",))
    process.start()
    process.join(LONGEST_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".vecsetx-unfinished-")
    clear_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_space_that_is_none(whole: SolverMesh, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown space"):
        write_opencarp(whole, tmp_path / "heart", "lpi")
    assert not list(tmp_path.iterdir())
