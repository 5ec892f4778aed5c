"""Cohorts through the commands: workers change nothing, what is done is skipped, devices."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import pytest
from support.command_line import run
from support.here import model_work_here, work_here
from support.killed import made_up_errors

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cohort import checking
from vecsetx.commands import check as check_command
from vecsetx.commands import export as export_command
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.evaluation import hidden_structures
from vecsetx.manifest.contents import MANIFEST
from vecsetx.sampling.samples import Samples

COARSE = ("--resolution", 24, "--points", 200, "--refine", 2, "--no-page")


@pytest.fixture(scope="module")
def maps(dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small hearts and one that is none."""
    folder = tmp_path_factory.mktemp("cohort")
    for heart in dataset.hearts[:2]:
        coarse = nib.load(heart.source).slicer[::2, ::2, ::2]
        nib.save(coarse, folder / f"{heart.name}.nii.gz")
    (folder / "bad.nii.gz").write_bytes(b"none")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but records; summaries without the time that each stage took."""
    found = {}
    for file in sorted({*folder.rglob("*")} - {folder / MANIFEST}):
        name = file.relative_to(folder).as_posix()
        if not file.is_file() or name.startswith(".vecsetx/"):
            continue
        found[name] = file.read_bytes()
        if file.name == "summary.json":
            summary = json.loads(found[name])
            found[name] = json.dumps({**summary, "seconds": None}).encode()
    return found


def test_reconstructions_by_workers_are_those_of_one_process_and_are_skipped_next_time(
    maps: Path,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def reconstruct(out: str, *more: object) -> str:
        words = (
            *("reconstruct", maps, "--model", trained_run),
            *("--out", tmp_path / out, *COARSE, *more),
        )
        assert run(*words, monkeypatch=monkeypatch) == 1
        said = capfd.readouterr()
        assert "bad.nii.gz" in said.err
        return " ".join(said.out.split())

    names = sorted(file.name.partition(".")[0] for file in maps.glob("phantom*"))
    assert "skipped" not in reconstruct("here")
    reconstruct("there", "--workers", 2)
    whole = contents(tmp_path / "here")
    assert {Path(name).parts[0] for name in whole} == {*names}
    assert contents(tmp_path / "there") == whole
    assert reconstruct("there").count("2 of 3 hearts are done already") == 1
    # Only what was touched is made again.
    changed = names[0]
    (tmp_path / "there" / changed / "LV.vtp").unlink()
    before = {name: _times(tmp_path / "there" / name) for name in names}
    assert "1 of 3 hearts is done already" in reconstruct("there")
    after = {name: _times(tmp_path / "there" / name) for name in names}
    assert [name for name in names if before[name] != after[name]] == [changed]
    assert contents(tmp_path / "there") == whole
    # Other options are another reconstruction.
    assert "skipped" not in reconstruct("there", "--seed", 1)
    assert contents(tmp_path / "there") != whole


def test_scores_by_workers_are_those_of_one_process_and_are_kept(
    maps: Path,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def evaluate(out: str, *more: object) -> str:
        few = ("--points", 200, "--refine", 2)
        words = ("evaluate", maps, "--model", trained_run, "--out", tmp_path / out, *few, *more)
        assert run(*words, monkeypatch=monkeypatch) == 1
        said = capfd.readouterr()
        assert "bad.nii.gz" in said.err
        return " ".join(said.out.split())

    assert "skipped" not in evaluate("here")
    whole = contents(tmp_path / "here")
    assert {"scores.csv", "scores.json", "report.html"} == {*whole}
    model_work_here(monkeypatch)
    evaluate("there", "--workers", 2)
    assert contents(tmp_path / "there") == whole
    # With its scores, the page stays; if it is gone, its hearts, which no record holds, are made.
    page = tmp_path / "there" / "report.html"
    before = page.stat().st_mtime_ns
    assert "2 of 3 hearts are done already" in evaluate("there")
    assert page.stat().st_mtime_ns == before
    for file in whole:
        (tmp_path / "there" / file).unlink()
    assert "2 of 3 hearts are done already" in evaluate("there")
    assert contents(tmp_path / "there") == whole


def _times(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in folder.iterdir() if file.name != MANIFEST}


def test_calibrations_by_workers_are_those_of_one_process(
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Records of stopped calibrations are tested in ``tests/evaluation/test_calibration.py``."""
    monkeypatch.setattr(hidden_structures, "_errors_of", lambda heart, *_: made_up_errors(heart))
    monkeypatch.setattr(
        hidden_structures, "_errors_beyond", lambda heart, *_: made_up_errors(heart)["LA"]
    )
    found = []
    for more in ((), ("--workers", 2)):
        model = shutil.copytree(trained_run, tmp_path / f"run{len(found)}")
        words = ("calibrate", dataset.folder, "--model", model, "--split", "train", "--few", *more)
        if more:
            model_work_here(monkeypatch)
        assert run(*words, monkeypatch=monkeypatch) == 0
        found.append(json.loads((model / "model" / "calibration.json").read_text()))
    assert found[0] == found[1]


def test_checks_and_exports_are_kept_until_what_they_are_of_changes(
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work_here(monkeypatch, check_command, export_command)
    data = shutil.copytree(dataset.folder, tmp_path / "data")
    checked: list[str] = []
    drawn: list[str] = []
    check_heart, three_slices = checking.check_heart, checking.three_slices

    def checking_heart(alone: DataSet) -> checking.Checked:
        checked.append(alone.hearts[0].name)
        return check_heart(alone)

    def drawing(samples: Samples, label_map: LabelMap | None) -> str:
        drawn.append(samples.info.name)
        return three_slices(samples, label_map)

    monkeypatch.setattr(checking, "check_heart", checking_heart)
    monkeypatch.setattr(checking, "three_slices", drawing)

    def both() -> tuple[dict[str, bytes], str]:
        capfd.readouterr()
        run("check", data, "--out", tmp_path / "check", monkeypatch=monkeypatch)
        run("export", data, "--out", tmp_path / "npz", monkeypatch=monkeypatch)
        return contents(tmp_path / "check") | contents(tmp_path / "npz"), capfd.readouterr().out

    first, said = both()
    names = [heart.name for heart in dataset.hearts]
    assert sorted(checked) == sorted(drawn) == names
    assert "skipped" not in said
    assert {f"{name}.npz" for name in names} <= first.keys()
    npz = {file: file.stat().st_mtime_ns for file in (tmp_path / "npz").glob("*.npz")}
    second, said = both()
    assert second == first
    assert said.count("4 of 4 hearts are done already") == 2
    assert (sorted(checked), sorted(drawn)) == (names, names)
    assert npz == {file: file.stat().st_mtime_ns for file in npz}
    # One heart's samples become those of another heart, whose export is gone.
    entry, other = dataset.hearts[0], dataset.hearts[1]
    (data / entry.file).write_bytes((data / other.file).read_bytes())
    (tmp_path / "npz" / f"{other.name}.npz").unlink()
    third, said = both()
    assert "contains another heart than dataset.json says" in third["check.json"].decode()
    assert (checked[4:], drawn[4:]) == ([entry.name], [other.name])  # whose samples it has now
    assert "3 of 4 hearts are done already" in said
    assert "2 of 4 hearts are done already" in said
    # Samples of another heart are exported under no name.
    for name in (entry.name, other.name):
        assert third[f"{name}.npz"] == first[f"{name}.npz"]
    # A picture that cannot be made is missed aloud.
    shutil.copy(dataset.folder / entry.file, data / entry.file)

    def failing(*_: object) -> str:
        raise InputError("no room for it")

    monkeypatch.setattr(checking, "three_slices", failing)
    capfd.readouterr()
    run("check", data, "--out", tmp_path / "check", monkeypatch=monkeypatch)
    said = capfd.readouterr().out
    assert f"check.html lacks the picture of {entry.name}: no room for it" in said
    assert said.count("lacks the picture") == 1


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "--device gpu: give cpu, cuda or, of several GPUs, cuda:1"),
        ("mps", "--device mps: give cpu, cuda or"),
        ("cuda", "--device cuda: PyTorch finds no GPU on this machine; leave it out to use the"),
        ("cuda:3", "--device cuda:3: this machine has 2 GPUs, cuda:0 to cuda:1; give one that is"),
    ],
)
def test_a_device_that_is_not_there_is_told_before_anything_is_read(
    device: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2 if device == "cuda:3" else 0)
    (tmp_path / "model").mkdir()
    for command in ("reconstruct", "evaluate", "calibrate"):
        out = () if command == "calibrate" else ("--out", tmp_path / "out")
        words = (command, tmp_path, "--model", tmp_path / "model", "--device", device, *out)
        assert run(*words, monkeypatch=monkeypatch) == 2
        said = capfd.readouterr().err.strip()
        assert message in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()
