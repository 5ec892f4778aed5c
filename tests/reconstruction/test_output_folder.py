"""A folder holds the files of one run, and foreign ones stay."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.runs import ENVIRONMENT

from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text
from vecsetx.reconstruction.output_folder import (
    VIEW_FILES,
    check_unmixed,
    one_run_s_files,
    other_hearts,
)


def write(folder: Path, *names: str) -> None:
    """What a run does."""
    with one_run_s_files(folder, names):
        for name in names:
            write_text(folder / name, "new")
        write_json(folder / "summary.json", {"files": dict.fromkeys(names, "")})


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_the_files_of_an_earlier_run_go_and_all_others_stay(tmp_path: Path) -> None:
    foreign = ("notes.txt", "RV.stl", "LV.vtp.txt", "sub/LV.vtp")
    for name in foreign:
        write_text(tmp_path / name, "foreign")
    write(tmp_path, "LV.vtp", "heart.glb", "labels.nii.gz")
    write(tmp_path, "LV.stl", "heart.glb")
    assert listing(tmp_path) == {*foreign, "sub", "LV.stl", "heart.glb", "summary.json"}
    assert all((tmp_path / name).read_text() == "foreign" for name in foreign)


def test_files_of_views_go_with_their_folder(tmp_path: Path) -> None:
    write(tmp_path, "LV.vtp", *VIEW_FILES)
    assert listing(tmp_path) == {"LV.vtp", "views", *VIEW_FILES, "summary.json"}
    write(tmp_path, "LV.vtp")
    assert listing(tmp_path) == {"LV.vtp", "summary.json"}
    # An input stays.
    write(tmp_path, *VIEW_FILES)
    with one_run_s_files(tmp_path, ["LV.vtp"], read=[tmp_path / VIEW_FILES[0]]):
        pass
    assert listing(tmp_path) == {"views", VIEW_FILES[0], "summary.json"}


def test_names_in_a_summary_are_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    victims = ("LV.vtp", "out/sub/LV.vtp", "out/thesis.docx", "out/.profile", "target.vtp")
    for name in victims:
        write_text(tmp_path / name, "precious")
    (folder / "RV.vtp").symlink_to(tmp_path / "target.vtp")
    (folder / "LA.vtp").mkdir()
    names = [
        *("../LV.vtp", "sub/LV.vtp", str(tmp_path / "LV.vtp"), "thesis.docx", ".profile"),
        *("RV.vtp", "LA.vtp", "sub", ".", "..", "", "summary.json", "PA.vtp", "..\\LV.vtp"),
        *(7, None, ["LV.vtp"]),
    ]
    (folder / "summary.json").write_text(json.dumps({"files": names}))
    write(folder, "LV.stl")
    assert all((tmp_path / name).read_text() == "precious" for name in victims)
    assert (folder / "RV.vtp").is_symlink()
    assert (folder / "LA.vtp").is_dir()


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"files": 3}', "{}", "\0\xff"])
def test_a_summary_that_says_nothing_removes_nothing(content: str, tmp_path: Path) -> None:
    write_text(tmp_path / "LV.vtp", "old")
    (tmp_path / "summary.json").write_bytes(content.encode("latin-1"))
    write(tmp_path, "RV.vtp")
    assert listing(tmp_path) == {"LV.vtp", "RV.vtp", "summary.json"}


KILLED = """
import os, signal, sys
from pathlib import Path
from vecsetx.files import write_text, written_whole
from vecsetx.reconstruction.output_folder import one_run_s_files
folder = Path(sys.argv[1])
with one_run_s_files(folder, ("LV.stl", "RV.stl", "LA.stl")):
    write_text(folder / "LV.stl", "new")
    with written_whole(folder / "RV.stl") as unfinished:
        unfinished.write_text("ha")
        os.kill(os.getpid(), signal.SIGKILL)
"""


KILLED_REMOVING = """
import os, signal, sys
from pathlib import Path
from vecsetx.reconstruction.output_folder import one_run_s_files
unlink = Path.unlink
def dying(path, missing_ok=False):
    unlink(path, missing_ok)
    if path.suffix == ".vtp":
        os.kill(os.getpid(), signal.SIGKILL)
Path.unlink = dying
with one_run_s_files(Path(sys.argv[1]), ("LV.stl",)):
    pass
"""


def test_killed_while_it_removes_the_next_run_goes_on(tmp_path: Path) -> None:
    write(tmp_path, "LV.vtp", "RV.vtp")
    words = [sys.executable, "-c", KILLED_REMOVING, tmp_path]
    assert subprocess.run(words, env=ENVIRONMENT, check=False).returncode == -9
    assert "RV.vtp" in listing(tmp_path)
    assert "LV.vtp" not in listing(tmp_path)
    write(tmp_path, "LV.ply")
    assert listing(tmp_path) == {"LV.ply", "summary.json"}


def test_killed_in_the_middle_nothing_is_half_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    write(tmp_path, "LV.vtp", "RV.vtp")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=ENVIRONMENT, check=False)
    assert done.returncode == -9
    assert json.loads((tmp_path / "summary.json").read_text())["unfinished"] is True
    visible = {name for name in listing(tmp_path) if not name.startswith(".")}
    assert visible == {"LV.stl", "summary.json"}
    assert (tmp_path / "LV.stl").read_text() == "new"
    write(tmp_path, "LV.ply")
    assert listing(tmp_path) == {"LV.ply", "summary.json"}
    assert "unfinished" not in json.loads((tmp_path / "summary.json").read_text())


def test_hearts_of_earlier_runs_are_known_from_those_of_this_one(tmp_path: Path) -> None:
    for folder in (tmp_path / "b", tmp_path / "a", tmp_path / "now"):
        write(folder, "LV.stl")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert other_hearts(tmp_path, [tmp_path / "now", tmp_path / "new"]) == ["a", "b"]


def test_a_single_heart_and_several_do_not_share_a_folder(tmp_path: Path) -> None:
    for single in ("a", None):
        check_unmixed(tmp_path, single)  # a new folder
        check_unmixed(tmp_path / "none", single)
    write(tmp_path / "several" / "a", "LV.stl")
    check_unmixed(tmp_path / "several", None)
    with pytest.raises(InputError, match=r"\(such as a\), .* --out, such as .*/several/b$"):
        check_unmixed(tmp_path / "several", "b")
    write(tmp_path / "one", "LV.stl")
    check_unmixed(tmp_path / "one", "a")
    with pytest.raises(InputError, match="one: holds the result of a single heart, and what"):
        check_unmixed(tmp_path / "one", None)
