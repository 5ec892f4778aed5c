"""On a full disk every writer fails with the file's name, and leaves the old file as it was."""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.command_line import run
from support.runs import untrained
from support.small_files import files_of_at_most

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.dataset import DataSet
from vecsetx.files import in_words, write_json, write_text
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.reconstruction.mesh_export import write_interfaces, write_scene, write_surface
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.npz.layout import write_npz
from vecsetx.sampling.samples import write_samples

_BALL = trimesh.creation.icosphere(4, 40.0)
BALL = Surface(np.asarray(_BALL.vertices, np.float32), np.asarray(_BALL.faces, np.int64))
MAP = LabelMap(np.random.default_rng(0).integers(0, 5, (32, 32, 32)).astype(np.uint8), np.eye(4))
WALLS = SharedSurface(
    np.asarray(_BALL.vertices, np.float64),
    np.asarray(_BALL.faces, np.int64),
    np.tile(np.array([[1, 0]], dtype=np.int64), (len(_BALL.faces), 1)),
)

WRITERS: dict[str, Callable[[Path], object]] = {
    **{
        f"LV.{ending}": lambda path: write_surface(path, BALL, "LV", 1)
        for ending in ("vtp", "stl", "ply", "obj")
    },
    "interfaces.vtp": lambda path: write_interfaces(path, WALLS, ["LV"], label_set("default")),
    "heart.glb": lambda path: write_scene(path, {"LV": BALL}),
    "labels.nii.gz": lambda path: write_label_map(MAP, path),
    "check.json": lambda path: write_json(path, list(range(10_000))),
    "curves.html": lambda path: write_text(path, "x" * 10_000),  # as all pages
    "model.safetensors": lambda path: untrained(("LV", "RV")).save_pretrained(path.parent),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("was_there", [True, False])
def test_what_cannot_be_written_whole_is_not_written(
    name: str, was_there: bool, tmp_path: Path
) -> None:
    before = {name: b"old"} if was_there else {}
    for file in before:
        (tmp_path / file).write_bytes(b"old")
    with files_of_at_most(4_000), pytest.raises(OSError, match="File too large") as failed:
        WRITERS[name](tmp_path / name)
    assert (failed.value.errno, failed.value.filename) == (errno.EFBIG, str(tmp_path / name))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_samples_are_written_whole_or_not_at_all(
    ending: str, dataset: DataSet, tmp_path: Path
) -> None:
    samples, path = dataset.open(dataset.hearts[0]).read(), tmp_path / f"heart.{ending}"
    write = partial(write_npz, label_set=dataset.label_set()) if ending == "npz" else write_samples
    with files_of_at_most(4_000), pytest.raises(OSError, match="File too large") as failed:
        write(samples, path)
    assert failed.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["LV.vtp", "LV.stl", "LV.ply", "interfaces.vtp"])
def test_vtk_says_nothing_itself(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with files_of_at_most(4_000), pytest.raises(OSError, match="File too large"):
        WRITERS[name](tmp_path / name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("room", [0, 1, 83, 84, 200, 4096])
@pytest.mark.parametrize("ending", ["vtp", "stl", "ply"])
def test_a_file_that_vtk_cut_anywhere_is_noticed(ending: str, room: int, tmp_path: Path) -> None:
    path = tmp_path / f"LV.{ending}"
    WRITERS[path.name](path)
    whole = path.read_bytes()
    with files_of_at_most(room), pytest.raises(OSError, match="File too large"):
        WRITERS[path.name](path)
    with files_of_at_most(len(whole) - 1), pytest.raises(OSError, match="File too large"):
        WRITERS[path.name](path)
    assert path.read_bytes() == whole


def test_a_full_disk_is_one_line() -> None:
    number = errno.ENOSPC
    assert in_words(OSError(number, os.strerror(number), "out/LV.ply")) == (
        "out/LV.ply: could not be written: no space left on device; free space or choose another "
        "--out"
    )


def test_a_full_disk_ends_a_command_with_that_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/compare.json")

    monkeypatch.setattr("vecsetx.commands.compare.compare_scores", full)
    words = ("compare", "a", "b", "--out", tmp_path / "out")
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == (
        "vecsetx: out/compare.json: could not be written: no space left on device; free space or "
        "choose another --out\n"
    )
