"""What a manifest says of the runs of commands: inputs by their hashes, models, and the end."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.command_line import run
from support.small_files import files_of_at_most

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import label_set
from vecsetx.cli.failures import exit_status
from vecsetx.cohort.out_folder import results_folder
from vecsetx.commands import export as exporting
from vecsetx.commands.info import describe
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError, StoppedError
from vecsetx.manifest import inputs as hashing
from vecsetx.manifest import recording as recorder
from vecsetx.manifest.contents import MANIFEST, CommandRun, Manifest
from vecsetx.manifest.recording import note_files, recording
from vecsetx.model.saved import TrainedModel

OLD_NS = 10**18
"""A time long ago, ns since the epoch."""


@contextmanager
def command(*words: str, seed: int | None = None, named: tuple[Path, ...] = ()) -> Iterator[None]:
    with recording(words, seed, named, exit_status):
        yield


def last(folder: Path) -> CommandRun:
    return Manifest.read(folder).runs[-1]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """A folder with two files that are named as label maps, and one that no command reads."""
    folder = tmp_path / "maps"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz", "notes.txt"):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, ns=(OLD_NS, OLD_NS))
    return folder


@pytest.fixture
def hashed_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed, in order."""
    names: list[str] = []

    def noting(path: Path) -> str | None:
        names.append(path.name)
        return hash_of_file(path)

    hash_of_file = hashing.hash_of_file
    monkeypatch.setattr(hashing, "hash_of_file", noting)
    return names


def read_hearts(maps: Path, out: Path) -> None:
    with command("measure", str(maps)), results_folder(out):
        find_hearts([maps])


def test_a_command_records_what_was_typed_what_it_read_and_how_it_ended(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "my npz"
    words = ("export", dataset.folder, "--out", out, "--workers", 1)
    assert run(*words, monkeypatch=monkeypatch) == 0
    found = last(out)
    assert found.command == f"vecsetx export {dataset.folder} --out '{out}' --workers 1"
    assert (found.current_folder, found.vecsetx) == (os.getcwd(), __version__)
    assert (found.state, found.exit_status, found.seed) == ("finished", 0, None)
    assert found.seconds is not None
    assert found.seconds > 0
    assert found.packages.keys() == {"torch", "numpy", "vtk"}
    described = dataset.folder / "dataset.json"
    (only,) = found.inputs
    assert (only.path, only.sha256) == (str(described.absolute()), sha256(described))
    assert only.bytes == described.stat().st_size


def test_hearts_and_label_sets_are_inputs_and_other_files_are_none(
    maps: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("{ids: {1: LV, 2: RV}}")
    with command("measure", seed=7), results_folder(tmp_path / "out"):
        find_hearts([maps], label_set(str(mine)))
        running = last(tmp_path / "out")
    files = [maps / "a.nii.gz", maps / "b.nii.gz", mine]
    expected = [(str(file), file.stat().st_size, sha256(file)) for file in files]
    for found in (running, last(tmp_path / "out")):
        assert [(file.path, file.bytes, file.sha256) for file in found.inputs] == expected
    assert (running.state, running.exit_status, running.seconds) == ("running", None, None)
    assert last(tmp_path / "out").seed == 7


def test_models_are_recorded_by_the_hash_of_their_weights(
    trained_run: Path, tmp_path: Path
) -> None:
    with command("evaluate"), results_folder(tmp_path / "out"):
        TrainedModel.from_pretrained(trained_run)
    (model,) = last(tmp_path / "out").models
    weights = trained_run / "model" / "model.safetensors"
    assert (model.name, model.sha256) == (str(weights.parent.resolve()), sha256(weights))


def test_a_second_run_is_appended_and_hashes_only_what_has_changed(
    maps: Path, tmp_path: Path, hashed_files: list[str]
) -> None:
    out = tmp_path / "out"
    read_hearts(maps, out)
    assert hashed_files == ["a.nii.gz", "b.nii.gz"]
    read_hearts(maps, out)
    assert hashed_files == ["a.nii.gz", "b.nii.gz"]
    (maps / "a.nii.gz").write_bytes(b"A.nii.gz")  # as long as before
    read_hearts(maps, out)
    assert hashed_files == ["a.nii.gz", "b.nii.gz", "a.nii.gz"]
    first, second, third = Manifest.read(out).runs
    assert first.inputs == second.inputs
    assert first.inputs[0].sha256 != third.inputs[0].sha256 == sha256(maps / "a.nii.gz")
    assert first.inputs[1] == third.inputs[1]


def test_a_file_that_changes_during_the_run_has_no_hash(maps: Path, tmp_path: Path) -> None:
    with command("measure"), results_folder(tmp_path / "out"):
        find_hearts([maps])
        (maps / "a.nii.gz").write_bytes(b"another heart")
        (maps / "b.nii.gz").unlink()
        (tmp_path / "c").write_bytes(b"c")
        note_files(lambda: [tmp_path / "c", tmp_path / "missing", maps])
    found = {Path(file.path).name: file.sha256 for file in last(tmp_path / "out").inputs}
    assert found == {"a.nii.gz": None, "b.nii.gz": None, "c": sha256(tmp_path / "c")}


@pytest.mark.parametrize(
    ("error", "state", "status"),
    [
        (None, "finished", 0),
        (RuntimeError("a fault"), "failed", 1),
        (InputError("no heart"), "failed", 2),
        (OSError(errno.ENOSPC, "full"), "failed", 2),
        (StoppedError("SIGTERM", by_hand=False), "stopped", 75),
        (KeyboardInterrupt(), "stopped", 130),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_the_end_of_a_run_is_recorded_if_it_left_anything(
    error: BaseException | None, state: str, status: int, writes: bool, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def work() -> None:
        with command("measure"), results_folder(out):
            if writes:
                (out / "result").write_text("half")
            if error:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    if error and not writes:
        assert not out.exists()
        return
    assert (last(out).state, last(out).exit_status) == (state, status)


def test_a_refused_run_leaves_the_manifest_as_it_was(maps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    read_hearts(maps, out)
    before = (out / MANIFEST).read_bytes()
    with pytest.raises(InputError), command("measure"), results_folder(out):
        raise InputError("no heart")
    assert (out / MANIFEST).read_bytes() == before


def test_hearts_that_failed_are_the_exit_status_of_the_command(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Path, out: Path, *__: object) -> dict[str, str]:
        with results_folder(out):
            return {"a": "a: damaged"}

    monkeypatch.setattr(exporting, "export", failing)
    words = ("export", dataset.folder, "--out", tmp_path / "out")
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert (last(tmp_path / "out").state, last(tmp_path / "out").exit_status) == ("failed", 1)


def test_a_manifest_that_cannot_be_written_is_an_error(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    words = ("export", dataset.folder, "--out", tmp_path / "out")
    with files_of_at_most(100):
        assert run(*words, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    said = f"vecsetx: {tmp_path / 'out' / MANIFEST}: could not be written: file too large; "
    assert told.startswith(said)
    assert not (tmp_path / "out").exists()


def test_what_a_command_writes_into_its_own_folder_is_no_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.nii.gz").write_bytes(b"mine")
    os.utime(out / "mine.nii.gz", ns=(OLD_NS, OLD_NS))
    (out / "dataset.json").write_text("{}")
    with command("vary", named=(out,)), recorder.recorded_in(out):
        (out / "phantom.nii.gz").write_bytes(b"new")
        with recorder.recorded_in(out / "deeper"):  # as demo's commands do; makes no manifest
            note_files(lambda: [out / "mine.nii.gz", out / "phantom.nii.gz"])
    assert [Path(file.path).name for file in last(out).inputs] == ["mine.nii.gz"]
    assert not (out / "deeper").exists()


def test_more_inputs_than_a_manifest_holds_are_counted(
    maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed_files: list[str]
) -> None:
    monkeypatch.setattr(recorder, "MOST_INPUTS", 1)
    read_hearts(maps, tmp_path / "out")
    found = last(tmp_path / "out")
    assert ([Path(f.path).name for f in found.inputs], found.inputs_left_out) == (["a.nii.gz"], 1)
    assert hashed_files == ["a.nii.gz"]


def test_a_manifest_that_was_removed_meanwhile_is_written_again(tmp_path: Path) -> None:
    with command("measure"), results_folder(tmp_path / "out"):
        (tmp_path / "out" / MANIFEST).unlink()
        (tmp_path / "out" / "result").touch()
    assert last(tmp_path / "out").state == "finished"
    with command("measure"):
        with results_folder(tmp_path / "gone"):
            (tmp_path / "gone" / "result").touch()
        shutil.rmtree(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_python_records_nothing(maps: Path, tmp_path: Path) -> None:
    def refuse() -> list[Path]:
        raise AssertionError("nothing is recorded")

    with results_folder(tmp_path / "out"):
        note_files(refuse)
        find_hearts([maps])
        (tmp_path / "out" / "result").touch()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["result"]


def test_the_manifest_has_no_secrets(tmp_path: Path) -> None:
    word = "hf_abcdefghijklmnop"
    named = tmp_path / f"token={word}.csv"
    named.touch()
    with command("train", "--token", "swordfish", named=(named,)), results_folder(tmp_path / "out"):
        pass
    text = (tmp_path / "out" / MANIFEST).read_text()
    assert "swordfish" not in text
    assert word not in text
    assert last(tmp_path / "out").command == "vecsetx train --token '***'"


@pytest.mark.parametrize(
    ("error", "ended"),
    [(None, ""), (InputError("no"), " (failed, exit status 2)"), (KeyboardInterrupt(), None)],
)
def test_info_shows_the_last_command_and_the_version(
    error: BaseException | None, ended: str | None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with suppress(InputError, KeyboardInterrupt), command("phantom", "my out"), results_folder(out):
        (out / "result").touch()
        running = describe(out)
        if error:
            raise error
    typed = "vecsetx phantom 'my out'"
    assert running["facts"] == {"command": f"{typed} (still runs, or was killed)"}
    found = describe(out)
    ended = " (stopped, exit status 130)" if ended is None else ended
    assert found["facts"] == {"command": f"{typed}{ended}"}
    assert (found["kind"], found["version"]) == ("results of phantom", __version__)
    assert found["next"] == f"vecsetx inspect {out}"


def test_what_inspect_cannot_read_is_not_to_be_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    with command("calibrate", "--out", "cal"), results_folder(tmp_path / "cal"):
        (tmp_path / "cal" / "calibration.html").touch()
    assert describe(tmp_path / "cal")["next"] == ""
    assert run("info", tmp_path / "cal", monkeypatch=monkeypatch) == 0
    assert "next:" not in capsys.readouterr().out


def test_another_program_s_manifest_hides_no_model(trained_run: Path, tmp_path: Path) -> None:
    model = shutil.copytree(trained_run / "model", tmp_path / "model")
    (model / MANIFEST).write_text("[]")
    found = describe(model)
    assert found["kind"] == "model"
    assert found["facts"]["command"].startswith(f"unknown: {model / MANIFEST}: no manifest that ")
