"""Files are written whole or not at all."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from vecsetx.files import (
    clear_unfinished,
    folder_written_whole,
    in_words,
    write_json,
    write_text,
    written_whole,
)
from vecsetx.workers.lock import waiting_lock


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def fail_half_way(path, failure):
    with written_whole(path) as unfinished:
        unfinished.write_bytes(b"half of the n")
        raise failure


def test_a_write_that_ends_well_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "heart.txt"
    path.write_text("old")
    with written_whole(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["heart.txt"]


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), ValueError("no"), KeyboardInterrupt()],
    ids=["disk full", "error", "interrupt"],
)
@pytest.mark.parametrize("was_there", [True, False])
def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_litter(
    tmp_path, failure, was_there
):
    path = tmp_path / "heart.safetensors"
    if was_there:
        path.write_bytes(b"old")
    with pytest.raises(type(failure)):
        fail_half_way(path, failure)
    if was_there:
        assert path.read_bytes() == b"old"
    assert names(tmp_path) == (["heart.safetensors"] if was_there else [])


def test_a_writer_that_removes_its_file_is_an_error_and_the_old_file_stays(tmp_path):
    path = tmp_path / "heart.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), written_whole(path) as unfinished:
        unfinished.unlink()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["heart.txt"]


@pytest.mark.parametrize("name", ["labels.nii.gz", "1.2.840.nii.gz", "plain", ".hidden"])
def test_the_unfinished_file_has_the_extensions_and_lies_in_the_folder(tmp_path, name):
    path = tmp_path / name
    with written_whole(path) as unfinished:
        assert unfinished.parent == path.parent
        assert unfinished.name.endswith("".join(path.suffixes))
        unfinished.write_bytes(b"x")
    assert names(tmp_path) == [name]


def test_what_is_wrong_with_the_unfinished_file_is_told_of_the_file(tmp_path):
    path = tmp_path / "heart.bin"
    with pytest.raises(OSError, match="No space left") as full, written_whole(path):
        Path("/dev/full").write_bytes(b"x")
    with pytest.raises(FileNotFoundError) as gone, written_whole(path) as unfinished:
        unfinished.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError) as folder, written_whole(path):
        pass
    for error in (full.value, gone.value, folder.value):
        assert error.filename == str(path)
        assert error.filename2 is None
        assert ".unfinished" not in str(error)


def test_what_is_wrong_with_another_file_is_told_of_that_file(tmp_path):
    with pytest.raises(FileNotFoundError) as missing, written_whole(tmp_path / "a"):
        (tmp_path / "b").read_bytes()
    assert missing.value.filename == str(tmp_path / "b")


def write_folder(folder, texts, failure=None):
    with folder_written_whole(folder) as unfinished:
        for name, text in texts.items():
            write_text(unfinished / name, text)
        if failure:
            raise failure


def texts(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_folder_that_ends_well_replaces_the_former_one_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "new" / "heart"
    for content in ({"a": "1", "deep/b": "2"}, {"a": "3"}):
        write_folder(folder, content)
        assert texts(folder) == content
        assert names(folder.parent) == ["heart"]
    (tmp_path / "usual").mkdir()
    assert folder.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("was_there", [True, False])
def test_a_folder_that_fails_half_way_leaves_the_former_one(tmp_path, failure, was_there):
    if was_there:
        write_folder(tmp_path / "heart", {"a": "old"})
    with pytest.raises(type(failure)):
        write_folder(tmp_path / "heart", {"a": "new"}, failure)
    assert texts(tmp_path) == ({"heart/a": "old"} if was_there else {})
    assert names(tmp_path) == (["heart"] if was_there else [])


def test_a_former_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    write_folder(tmp_path / "heart", {"a": "old"})
    rename = os.rename

    def fails(source, target):
        if target == tmp_path / "heart" and names(Path(source)) == ["b"]:
            raise OSError(errno.EIO, "Input/output error", str(source), None, str(target))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError, match="Input/output error") as error:
        write_folder(tmp_path / "heart", {"b": "new"})
    assert error.value.filename == str(tmp_path / "heart")
    assert error.value.filename2 is None
    assert texts(tmp_path) == {"heart/a": "old"}
    assert names(tmp_path) == ["heart"]


def test_what_is_wrong_in_an_unfinished_folder_is_told_of_the_folder(tmp_path):
    heart = tmp_path / "heart"
    with pytest.raises(FileNotFoundError) as missing, folder_written_whole(heart) as unfinished:
        (unfinished / "no" / "file").write_text("x")
    assert missing.value.filename == str(heart / "no" / "file")
    with pytest.raises(OSError, match="No space") as full:
        write_folder(heart, {}, OSError(errno.ENOSPC, "No space left on device"))
    assert full.value.filename == str(heart)
    with pytest.raises(FileNotFoundError) as elsewhere, folder_written_whole(heart):
        (tmp_path / "other").read_text()
    assert elsewhere.value.filename == str(tmp_path / "other")
    assert names(tmp_path) == []


def test_unfinished_files_of_killed_writers_are_cleared_in_their_folder_alone(tmp_path):
    for folder in ("a", "a/deeper", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ".vecsetx-unfinished-1x.nii.gz").touch()
        (tmp_path / folder / "heart.nii.gz").touch()
    (tmp_path / "a" / ".unfinished-letter.txt").touch()  # somebody else's
    (tmp_path / "a" / ".vecsetx-unfinished-folder" / "deep").mkdir(parents=True)
    (tmp_path / "a" / ".vecsetx-unfinished-folder" / "deep" / "heart.pts").touch()
    (tmp_path / "a" / ".vecsetx-unfinished-link").symlink_to(tmp_path / "b")
    clear_unfinished(tmp_path / "a", tmp_path / "b", tmp_path / "absent")
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob(".*")}
    assert left == {"a/deeper/.vecsetx-unfinished-1x.nii.gz", "a/.unfinished-letter.txt"}
    assert len(list(tmp_path.rglob("heart.nii.gz"))) == 3


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_the_permissions_are_those_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
    finally:
        assert os.umask(before) == 0o027


def test_text_is_utf8_whatever_the_locale(tmp_path):
    write_text(tmp_path / "a.txt", "Dice × 1 − ½")
    assert (tmp_path / "a.txt").read_bytes() == "Dice × 1 − ½".encode()


def test_json_round_trip(tmp_path):
    data = {"dice": 0.125, "names": ["LV", "PV"], "none": None, "deep": {"n": 3}}
    write_json(tmp_path / "a.json", data)
    assert json.loads((tmp_path / "a.json").read_text()) == data


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused_and_the_old_file_stays(tmp_path, bad):
    path = tmp_path / "a.json"
    write_json(path, {"dice": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"dice": bad})
    assert json.loads(path.read_text()) == {"dice": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_link_where_a_lock_is_needed_is_refused_and_its_file_kept(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    lock = tmp_path / ".manifest.lock"
    lock.symlink_to(mine)
    with (
        pytest.raises(OSError, match="symbolic links") as refused,
        waiting_lock(lock, "manifest.json"),
    ):
        pass
    assert in_words(refused.value).startswith(f"{lock}: ")
    assert in_words(refused.value).endswith("; remove the link, or choose another --out")
    assert mine.read_text() == "precious"
