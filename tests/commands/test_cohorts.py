"""Cohorts through the commands: workers change nothing, what is done is skipped, devices."""

import json
import shutil
from pathlib import Path

import pytest
from support.command_line import run

from vecsetx.data.dataset import DataSet

COARSE = ("--resolution", 24, "--points", 200, "--refine", 2, "--no-page")


@pytest.fixture(scope="module")
def maps(dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small hearts and one that is none."""
    folder = tmp_path_factory.mktemp("cohort")
    for heart in dataset.hearts[:2]:
        shutil.copy(heart.source, folder)
    (folder / "bad.nii.gz").write_bytes(b"none")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but records; summaries without the time that each stage took."""
    found = {}
    for file in sorted(folder.rglob("*")):
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
        words = ("reconstruct", trained_run, maps, "--out", tmp_path / out, *COARSE, *more)
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
        words = ("evaluate", trained_run, maps, "--out", tmp_path / out, *few, *more)
        assert run(*words, monkeypatch=monkeypatch) == 1
        said = capfd.readouterr()
        assert "bad.nii.gz" in said.err
        return " ".join(said.out.split())

    assert "skipped" not in evaluate("here")
    whole = contents(tmp_path / "here")
    assert {"scores.csv", "scores.json", "report.html"} == {*whole}
    evaluate("there", "--workers", 2)
    assert contents(tmp_path / "there") == whole
    for file in whole:
        (tmp_path / "there" / file).unlink()
    # The page's hearts, which no record holds, are made again.
    assert "2 of 3 hearts are done already" in evaluate("there")
    assert contents(tmp_path / "there") == whole
    assert "skipped" not in evaluate("there", "--no-meshes", "--tolerance", 2)


def _times(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in folder.iterdir()}


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
    for command in ("reconstruct", "evaluate"):
        words = (command, tmp_path / "model", tmp_path, "--device", device)
        assert run(*words, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 2
        said = capfd.readouterr().err.strip()
        assert message in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()
