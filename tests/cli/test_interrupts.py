"""Ctrl-C in every command: a line on what is kept and what to type, and exit status 130."""

import os
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from support.command_line import every_command, run
from support.forked import forked
from support.killed import made_up_errors
from support.waiting import LONGEST_SECONDS

from vecsetx import __main__ as starting
from vecsetx.cli import help_options
from vecsetx.cli.interrupts import resuming_text, stopped_text
from vecsetx.commands import calibrate as calibrating
from vecsetx.commands import export as exporting
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation import hidden_structures
from vecsetx.workers import for_each

FUNCTIONS = {
    "calibrate": "calibrate.calibrate",
    "check": "check.check",
    "compare": "compare.compare_scores",
    "demo": "demo.demo",
    "diagnose": "diagnose.diagnose_run",
    "doctor": "doctor.examine",
    "evaluate": "evaluate.evaluate",
    "export": "export.export",
    "info": "info.describe",
    "inspect": "inspect.inspect",
    "labels": "terminal.label_set_tables.print_label_sets",
    "measure": "measure.measure",
    "phantom": "phantom.make_phantoms",
    "plan": "plan.plan_training",
    "prepare": "prepare.prepare",
    "reconstruct": "reconstruct.reconstruct",
    "shape fit": "shape.fit.fit_shape_space",
    "shape sample": "shape.sample.sample_hearts",
    "shape modes": "shape.modes.make_modes",
    "shape interpolate": "shape.interpolate.interpolate_hearts",
    "shape project": "shape.project.place_hearts",
    "train": "train.train_model",
    "vary": "vary.vary",
    "volume-mesh": "volume_mesh.volume_mesh",
}
"""Command → what it calls in ``vecsetx.commands``, or elsewhere in ``vecsetx``."""

WORDS = {
    "calibrate": ("data", "--model", "run"),
    "check": ("data",),
    "compare": ("a", "b", "--out", "out"),
    "diagnose": ("run",),
    "evaluate": ("data", "--model", "run", "--out", "out"),
    "export": ("data", "--out", "out"),
    "info": ("run",),
    "inspect": ("my maps",),
    "measure": ("my maps", "--out", "out"),
    "phantom": ("out",),
    "plan": ("data",),
    "prepare": ("my maps", "--out", "out"),
    "reconstruct": ("map.nii.gz", "--model", "run", "--out", "out"),
    "shape fit": ("data", "--model", "run", "--out", "out"),
    "shape sample": ("space", "--model", "run", "--out", "out"),
    "shape modes": ("space", "--model", "run", "--out", "out"),
    "shape interpolate": ("space", "a", "b", "--model", "run", "--out", "out"),
    "shape project": ("space", "map.nii.gz", "--model", "run", "--out", "out"),
    "train": ("data", "--out", "out"),
    "vary": ("data",),
    "volume-mesh": ("my maps", "--out", "out"),
}


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("command", sorted(every_command()))
def test_every_command_says_that_it_was_stopped(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    within = "vecsetx" if command == "labels" else "vecsetx.commands"
    monkeypatch.setattr(f"{within}.{FUNCTIONS[command]}", interrupt)
    words = (*command.split(), *WORDS.get(command, ()))
    assert run(*words, monkeypatch=monkeypatch) == 130
    told = capfd.readouterr().err
    assert told.startswith("vecsetx: stopped; nothing ")
    assert told.endswith(f" To start again, type: {shlex.join(['vecsetx', *words])}\n")
    assert told.count("\n") == 1


class Interrupting(ModuleType):
    """A module in the midst of whose import Ctrl-C is pressed, and which swallows exceptions."""

    def __getattr__(self, name: str) -> object:
        if name == "main":
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        raise AttributeError(name)


def stopped_while_importing(log: Path, module: str, words: tuple[str, ...]) -> None:
    """Run the program; a module is interrupted while it is imported."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.modules[module] = Interrupting(module)
    sys.argv = ["vecsetx", *words]
    if module != "vecsetx.cli":
        help_options.import_module = lambda _: sys.modules[module].main
    starting.main()


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("vecsetx.cli", "stopped before it began; nothing was written"),
        (
            "vecsetx.commands.info",
            "stopped; nothing was written. To start again, type: vecsetx info run",
        ),
    ],
)
def test_a_stop_while_the_program_is_imported(module: str, told: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = forked(stopped_while_importing, log, module, ("info", "run"))
    process.join(LONGEST_SECONDS)
    assert (process.exitcode, log.read_text()) == (130, f"vecsetx: {told}\n")


def test_a_stop_before_a_command_begins(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vecsetx.model.saved.model_folder", interrupt)  # a download
    words = ("reconstruct", "map.nii.gz", "--model", "owner/name", "--out", "out")
    assert run(*words, monkeypatch=monkeypatch) == 130
    said = capfd.readouterr().err
    assert said.startswith("vecsetx: stopped; nothing was written. To start again, type: vecsetx ")


def test_hearts_that_were_sampled_are_kept_and_counted(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    maps, out = Path(dataset.hearts[0].source).parent, tmp_path / "data"
    words = ("prepare", maps, "--out", out, "--points", 50)
    stop_after(2, monkeypatch)
    assert run(*words, monkeypatch=monkeypatch) == 130
    told = capfd.readouterr().err.splitlines()[-1]
    assert not (out / "dataset.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in (out / "hearts").iterdir()}
    assert len(kept) >= 2  # another may have been done, too
    count = f"{len(kept)} sampled hearts are kept in {out}"
    assert told.startswith(f"vecsetx: stopped; {count}. To go on with the rest, type: ")
    monkeypatch.undo()
    assert run(*shlex.split(told.partition("type: vecsetx ")[2]), monkeypatch=monkeypatch) == 0
    assert len(DataSet.read(out).hearts) == 4
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


def stop_after(hearts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C when that many hearts are done."""
    results = for_each._results

    def stopping(*given: object):
        for done, result in enumerate(results(*given)):
            if done == hearts:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(for_each, "_results", stopping)


def test_an_export_leaves_nothing_unfinished(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    def stopping(*_: object):
        (tmp_path / "npz" / ".vecsetx-unfinished-x.npz").write_bytes(
            b"half"
        )  # of a worker that was killed
        (tmp_path / "npz" / "a.npz").write_bytes(b"")
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "run_cohort", stopping)
    words = ("export", dataset.folder, "--out", tmp_path / "npz")
    assert run(*words, monkeypatch=monkeypatch) == 130
    assert "1 exported heart is kept in" in capfd.readouterr().err
    assert {file.name for file in (tmp_path / "npz").iterdir()} == {"a.npz", "manifest.json"}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_stopped_calibration_goes_on_as_it_says(
    elsewhere: bool,
    trained_run: Path,
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd,
) -> None:
    model = shutil.copytree(trained_run, tmp_path / "a run")
    out = tmp_path / "an out" if elsewhere else model
    measured: list[str] = []

    def errors_of(heart, *_: object):
        measured.append(heart.name)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return made_up_errors(heart)

    monkeypatch.setattr(hidden_structures, "_errors_of", errors_of)
    monkeypatch.setattr(
        hidden_structures, "_errors_beyond", lambda heart, *_: made_up_errors(heart)["LA"]
    )
    monkeypatch.setattr(calibrating, "ENOUGH_HEARTS", 3)
    words = ("calibrate", dataset.folder, "--model", model, "--split", "train")
    words += ("--out", out) if elsewhere else ()
    assert run(*words, monkeypatch=monkeypatch) == 130
    told = capfd.readouterr().err.splitlines()[-1]
    assert told.startswith(f"vecsetx: stopped; 2 measured hearts are kept in {out}. To go on")
    assert run(*shlex.split(told.partition("type: vecsetx ")[2]), monkeypatch=monkeypatch) == 0
    assert "2 of 3 hearts are done already" in capfd.readouterr().out
    assert len(measured) == 4
    assert (out / ("." if elsewhere else "model") / "calibration.json").exists()
    assert not list(tmp_path.rglob("calibration-unfinished"))


def test_a_heart_counts_as_complete_only_with_its_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()

    def stopping(*_: object) -> None:
        for name, text in (("a", '{"structures": {}}'), ("b", '{"unfinished": true}')):
            Path("out", name).mkdir(parents=True)
            Path("out", name, "summary.json").write_text(text)
        raise KeyboardInterrupt

    monkeypatch.setattr("vecsetx.commands.reconstruct.reconstruct", stopping)
    assert (
        run("reconstruct", "maps", "--model", "run", "--out", "out", monkeypatch=monkeypatch) == 130
    )
    assert "stopped; 1 complete heart is kept in out. To go on" in capfd.readouterr().err


def test_a_training_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out", "checkpoint.pt").touch()
    monkeypatch.setattr("vecsetx.commands.train.train_model", interrupt)
    assert run("train", "my data", "--out", "out", monkeypatch=monkeypatch) == 130
    told = capfd.readouterr().err
    go_on = "vecsetx train 'my data' --out out --resume"
    assert (
        told
        == ("vecsetx: stopped; 1 checkpoint is kept in out. To go on with the rest, type: " + go_on)
        + "\n"
    )
    assert resuming_text() == f"to go on, type: {go_on}"
    launcher = {"RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, text in {**launcher, "WORLD_SIZE": "2"}.items():  # sys.argv does not know of it
        monkeypatch.setenv(name, text)
    assert resuming_text() == "to go on, repeat the command with --resume"


def test_a_stopped_cycle_tells_how_many_frames_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = tmp_path / "out" / ".vecsetx"
    records.mkdir(parents=True)
    for name in ("a.json", "b.json", ".a.lock"):
        (records / name).touch()
    monkeypatch.setattr(sys, "argv", ["vecsetx", "reconstruct", "--frames", "a.nii"])
    params = {"out": tmp_path / "out", "frames": True}
    told = f"stopped; 2 frames are kept in {tmp_path / 'out'}. To go on with the rest, type: "
    assert stopped_text("reconstruct", params, 0.0).startswith(told)
    assert "nothing in" in stopped_text("reconstruct", params | {"frames": False}, 0.0)
