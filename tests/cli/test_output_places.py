"""Where commands write: one run at a time; what cannot be written is noticed before any work."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import every_command, run
from support.forked import forked
from support.shared import made_once
from support.waiting import wait_until

from vecsetx.cohort.out_folder import check_out
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.files import write_text
from vecsetx.terminal import progress_bars
from vecsetx.terminal.run_log import RunLog
from vecsetx.workers.lock import only_writer

WRITING = {
    "prepare": ("{labels}", "--out", "{out}"),
    "check": ("{data}", "--out", "{out}"),
    "export": ("{data}", "--out", "{out}"),
    "measure": ("{labels}", "--out", "{out}"),
    "volume-mesh": ("{labels}", "--out", "{out}", "--edge-mm", "9"),
    "phantom": ("{out}",),
    "train": ("{data}", "--out", "{out}", "model.latents=32", "batch.points=256"),
    "reconstruct": ("{labels}", "--model", "{run}", "--out", "{out}"),
    "evaluate": ("{data}", "--model", "{run}", "--out", "{out}"),
    "calibrate": ("{data}", "--model", "{run}", "--few", "--out", "{out}"),
    "compare": ("a", "b", "--out", "{out}"),
    "shape fit": ("{data}", "--model", "{run}", "--out", "{out}"),
    "shape sample": ("space", "--model", "{run}", "--out", "{out}"),
    "shape modes": ("space", "--model", "{run}", "--out", "{out}"),
    "shape interpolate": ("space", "a", "b", "--model", "{run}", "--out", "{out}"),
    "shape project": ("space", "a.nii", "--model", "{run}", "--out", "{out}"),
    "demo": ("--out", "{out}"),
}
"""Commands that write into a folder of the user's choice. Besides these, `vary` writes into the
data set's, and `diagnose` one page, whole, beside a journal that may still grow."""

WRITE_NO_FOLDER = {"inspect", "labels", "plan", "info", "diagnose", "doctor", "vary"}


def test_all_commands_are_here() -> None:
    assert WRITING.keys() | WRITE_NO_FOLDER == every_command().keys()


@pytest.fixture
def words(dataset: DataSet, trained_run: Path) -> Callable[[str, Path], list[str]]:
    """The command line of a command that writes into a folder."""
    labels = made_once("dataset", lambda _: None) / "labels"
    places = {"data": dataset.folder, "run": trained_run, "labels": labels}
    return lambda command, out: [
        *command.split(),
        *(word.format(out=out, **places) for word in WRITING[command]),
    ]


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no piece of work begin that is counted."""

    def refuse(*_: object) -> None:
        raise AssertionError("work has begun")

    for module in ("phantom", "prepare"):
        monkeypatch.setattr(f"vecsetx.commands.{module}.steps", refuse)
    for module in ("check", "export", "measure", "reconstruct", "evaluate", "calibrate"):
        monkeypatch.setattr(f"vecsetx.commands.{module}.run_cohort", refuse)
    assert progress_bars.steps is not refuse


def hold(folder: Path, taken: Path) -> None:
    """Write into a folder for ever."""
    with only_writer(folder):
        write_text(taken, "")
        wait_until(lambda: False)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder that another process writes into, and the number of that process."""
    folder = tmp_path_factory.mktemp("held")
    taken = folder.with_name("taken")
    process = forked(hold, folder / "out", taken)
    assert wait_until(taken.exists)
    yield folder / "out", process.pid
    process.kill()
    process.join()
    with only_writer(folder / "out"):  # the lock died with its process
        pass


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", WRITING)
def test_a_second_run_into_a_folder_is_refused_with_the_first_one_s_process(
    command: str, words, held: tuple[Path, int], monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    out, number = held
    assert run(*words(command, out), monkeypatch=monkeypatch) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vecsetx: {out}: another run is writing into it (process {number} on ")
    assert last.endswith("; wait until it ends, or choose another --out")
    assert [file.name for file in out.iterdir()] == [".writing.lock"]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", WRITING)
@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_place_of_the_folder_is_noticed_before_any_work(
    command: str, below: str, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert run(*words(command, file / below), monkeypatch=monkeypatch) == 2
    told = f"{file if below else 'this'} is a file, but results need a folder; choose another --out"
    assert capfd.readouterr().err.splitlines()[-1] == f"vecsetx: {file / below}: {told}"
    assert file.read_text() == "mine"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", WRITING)
def test_a_folder_that_cannot_be_written_is_noticed_before_any_work(
    command: str, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    # As for root, who may write anywhere, the system says so in the test.
    access = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: access(path, mode) and not (path == tmp_path and mode & os.W_OK),
    )
    assert run(*words(command, tmp_path), monkeypatch=monkeypatch) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vecsetx: {tmp_path}: cannot be written: permission denied; choose ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", WRITING)
def test_a_folder_within_that_is_a_link_is_refused(
    command: str, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for out, place in ((tmp_path / "1", "hearts"), (tmp_path / "2", ".vecsetx/pictures")):
        link = out / place
        link.parent.mkdir(parents=True)
        link.symlink_to(mine)
        assert run(*words(command, out), monkeypatch=monkeypatch) == 2
        told = f"{link}: a link to a folder, so results might be written outside of {out}"
        last = capfd.readouterr().err.splitlines()[-1]
        assert last == f"vecsetx: {told}; move the link away, or choose another --out"
        assert not any(mine.iterdir())


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", [c for c in WRITING if c not in ("prepare", "calibrate")])
def test_results_do_not_lie_among_the_files_of_something_else(
    command: str, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    kinds = {"dataset.json": "a data set", "model.json": "a model", "recipe.yaml": "a run"}
    if command == "train":
        del kinds["recipe.yaml"]  # its own, about which it says more
    for name, kind in kinds.items():
        out = tmp_path / kind
        out.mkdir()
        (out / name).write_text("mine")
        assert run(*words(command, out), monkeypatch=monkeypatch) == 2
        last = capfd.readouterr().err.splitlines()[-1]
        assert last.startswith(f"vecsetx: {out}: is {kind}, so results would lie among its files; ")
        assert [file.name for file in out.iterdir()] == [name]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", WRITING)
def test_the_manifest_of_another_program_is_noticed_before_any_work(
    command: str, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    other = tmp_path / "manifest.json"
    other.write_text('{"name": "My app"}')
    assert run(*words(command, tmp_path), monkeypatch=monkeypatch) == 2
    told = f"vecsetx: {other}: no manifest that this VecSetX can read (name: "
    assert capfd.readouterr().err.splitlines()[-1].startswith(told)
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [
        (other.name, '{"name": "My app"}')
    ]


@pytest.mark.parametrize(("name", "mark"), [("hearts", "dataset.json"), ("x", "model.json")])
def test_results_do_not_lie_in_a_folder_of_a_data_set_or_model(
    name: str, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / mark).write_text("mine")
    monkeypatch.chdir(tmp_path)
    for out in (tmp_path / name, Path(name)):
        with pytest.raises(InputError, match=f"{name}: belongs to the (model|data set) {tmp_path}"):
            check_out(out)
    check_out(tmp_path / "elsewhere" / name)


def test_a_log_that_is_a_link_is_not_written(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "train.log").symlink_to(mine)
    RunLog(tmp_path / "train.log").write("a line")
    assert mine.read_text() == "mine"
    told = capfd.readouterr()
    assert "train.log: not written (a link to another file; remove the link)" in told.out + told.err


@pytest.mark.usefixtures("no_work")
def test_calibrate_keeps_other_runs_from_the_model_s_folder(
    dataset: DataSet, trained_run: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    with only_writer(trained_run / "model"):
        words = ("calibrate", dataset.folder, "--model", trained_run, "--few")
        assert run(*words, monkeypatch=monkeypatch) == 2
    assert f"{trained_run / 'model'}: another run is writing into it" in capfd.readouterr().err


def test_a_reconstruction_replaces_no_input(
    dataset: DataSet, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    mine = tmp_path / "labels.nii.gz"
    shutil.copy(dataset.hearts[0].source, mine)
    before = mine.read_bytes()
    words = ("reconstruct", mine, "--model", trained_run, "--out", tmp_path)
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err.endswith(
        f"vecsetx: {mine}: no earlier reconstruction wrote this file, and it would be replaced; "
        "choose another --out, or move the file\n"
    )
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(mine.name, before)]
